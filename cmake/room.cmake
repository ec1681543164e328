# SPDX-License-Identifier: Apache-2.0
# A room is a folder of src/ that is compiled as one target, room_<room> ("/" becomes "_").
#
# kvtel_room(ROOM [PUBLIC room...] [PRIVATE room...] [LIBRARIES target...] [EXCLUDE file...])
#
# A room's headers are included by their path below src/ ("record/lane.h"). Each room has an include folder of its own
# that holds only a link to it, so a file can include headers of its own room and of the rooms named here, and no
# others: an arrow against the data's way does not compile. PUBLIC: the room's own headers include theirs. PRIVATE: only
# its sources do.
# tests/rooms.py compares docs/architecture.md with the includes of the files.

function(kvtel_room room)
    cmake_parse_arguments(arg "" "" "PUBLIC;PRIVATE;LIBRARIES;EXCLUDE" ${ARGN})
    string(REPLACE "/" "_" name ${room})
    set(target room_${name})

    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${room}/*.c)
    foreach(file IN LISTS arg_EXCLUDE)
        list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/src/${room}/${file})
    endforeach()

    set(include ${PROJECT_BINARY_DIR}/rooms/${name})
    cmake_path(GET room PARENT_PATH parent)
    file(MAKE_DIRECTORY ${include}/${parent})
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/src/${room} ${include}/${room} SYMBOLIC)

    if(sources)
        add_library(${target} OBJECT ${sources})
        set(scope PUBLIC)
        target_link_libraries(${target} PRIVATE kvtel_code)
        set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    else()
        add_library(${target} INTERFACE)
        set(scope INTERFACE)
    endif()
    target_include_directories(${target} ${scope} ${include})
    foreach(other IN LISTS arg_PUBLIC)
        string(REPLACE "/" "_" other ${other})
        target_link_libraries(${target} ${scope} room_${other})
    endforeach()
    foreach(other IN LISTS arg_PRIVATE)
        string(REPLACE "/" "_" other ${other})
        target_link_libraries(${target} PRIVATE room_${other})
    endforeach()
    if(arg_LIBRARIES)
        target_link_libraries(${target} PRIVATE ${arg_LIBRARIES})
    endif()
endfunction()

# kvtel_objects_of(VARIABLE room...): the object files of rooms, as a generator expression for each that has sources.
function(kvtel_objects_of variable)
    set(objects "")
    foreach(room IN LISTS ARGN)
        string(REPLACE "/" "_" name ${room})
        get_target_property(type room_${name} TYPE)
        if(type STREQUAL OBJECT_LIBRARY)
            list(APPEND objects $<TARGET_OBJECTS:room_${name}>)
        endif()
    endforeach()
    set(${variable} ${objects} PARENT_SCOPE)
endfunction()
