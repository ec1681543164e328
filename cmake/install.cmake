# SPDX-License-Identifier: Apache-2.0
# Headers, pkg-config files and the CMake package.

# Components: libraries (shared), development, program (the rest). cmake/package.cmake makes a package of each.

include(CMakePackageConfigHelpers)

install(DIRECTORY include/kvtel TYPE INCLUDE COMPONENT development FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

# Paths are relative, so that the installed tree can be moved.
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_to_prefix ${pc_to_prefix})
foreach(name kvtel kvtel_record)
    configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endforeach()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kvtel)
install(EXPORT kvtel NAMESPACE kvtel:: FILE kvtelTargets.cmake DESTINATION ${package_dir} COMPONENT development)
configure_package_config_file(cmake/kvtelConfig.cmake.in kvtelConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(kvtelConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kvtelConfig.cmake ${PROJECT_BINARY_DIR}/kvtelConfigVersion.cmake DESTINATION ${package_dir}
        COMPONENT development)

# The systemd unit, with the program's path under the install prefix, its user and directory, and further files for a machine.
install(CODE "
    set(KVTEL_SERVICE_BINDIR \"${CMAKE_INSTALL_BINDIR}\")
    set(KVTEL_SERVICE_DATADIR \"${CMAKE_INSTALL_DATADIR}\")
    foreach(dir KVTEL_SERVICE_BINDIR KVTEL_SERVICE_DATADIR)
        if(NOT IS_ABSOLUTE \"\${\${dir}}\")
            set(\${dir} \"\${CMAKE_INSTALL_PREFIX}/\${\${dir}}\")
        endif()
    endforeach()
    configure_file(\"${PROJECT_SOURCE_DIR}/deploy/kvtel.service.in\" \"${PROJECT_BINARY_DIR}/kvtel.service\" @ONLY)
")
install(FILES ${PROJECT_BINARY_DIR}/kvtel.service DESTINATION lib/systemd/system)
install(FILES deploy/package/kvtel.sysusers DESTINATION lib/sysusers.d RENAME kvtel.conf)
install(FILES deploy/package/kvtel.tmpfiles DESTINATION lib/tmpfiles.d RENAME kvtel.conf)
install(FILES deploy/pod.yaml deploy/prometheus.yml deploy/rules.yml deploy/rules-kv.yml
        DESTINATION ${CMAKE_INSTALL_DATADIR}/kvtel/deploy)
install(DIRECTORY deploy/mixin/dashboards DESTINATION ${CMAKE_INSTALL_DATADIR}/kvtel/deploy FILES_MATCHING PATTERN "*.json")

# Manual pages of functions and headers (man3) and of formats (man5), from their comments and from docs/.
find_package(Python3 QUIET COMPONENTS Interpreter)
if(Python3_Interpreter_FOUND)
    set(reference ${PROJECT_BINARY_DIR}/manual/reference)
    file(GLOB described CONFIGURE_DEPENDS include/kvtel/*.h docs/recording-format.md docs/store-format.md docs/web-config.md)
    add_custom_command(OUTPUT ${reference}/made
                       COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/cmake/manuals.py ${PROJECT_SOURCE_DIR} ${reference} ${PROJECT_VERSION}
                       COMMAND ${CMAKE_COMMAND} -E touch ${reference}/made
                       DEPENDS ${described} cmake/manuals.py VERBATIM)
    add_custom_target(kvtel_reference_manuals ALL DEPENDS ${reference}/made)
    add_dependencies(product kvtel_reference_manuals)
    install(DIRECTORY ${reference}/man3 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT development)
    install(DIRECTORY ${reference}/man5 DESTINATION ${CMAKE_INSTALL_MANDIR})
else()
    message(STATUS "python3 is not installed: no manual pages of functions and formats")
endif()

# Manual pages and completions, which the program prints from the texts of --help.
if(KVTEL_PROGRAM AND NOT CMAKE_CROSSCOMPILING)
    set(manuals ${PROJECT_BINARY_DIR}/manual)
    file(MAKE_DIRECTORY ${manuals})
    set(outputs "")
    # kvtel_manual(FILE DESTINATION ARGUMENT...): what `kvtel help ARGUMENT...` prints.
    macro(kvtel_manual file destination)
        add_custom_command(OUTPUT ${manuals}/${file} COMMAND $<TARGET_FILE:kvtel> help ${ARGN} > ${manuals}/${file} DEPENDS kvtel VERBATIM)
        list(APPEND outputs ${manuals}/${file})
        install(FILES ${manuals}/${file} DESTINATION ${destination})
    endmacro()
    kvtel_manual(kvtel.1 ${CMAKE_INSTALL_MANDIR}/man1 --man)
    foreach(command serve top doctor dump totals replay check nixl connectors)
        kvtel_manual(kvtel-${command}.1 ${CMAKE_INSTALL_MANDIR}/man1 --man ${command})
    endforeach()
    kvtel_manual(kvtel ${CMAKE_INSTALL_DATADIR}/bash-completion/completions --completion bash)
    kvtel_manual(_kvtel ${CMAKE_INSTALL_DATADIR}/zsh/site-functions --completion zsh)
    kvtel_manual(kvtel.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d --completion fish)
    add_custom_target(kvtel_manuals ALL DEPENDS ${outputs})
    add_dependencies(product kvtel_manuals)
endif()
