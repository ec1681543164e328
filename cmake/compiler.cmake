# SPDX-License-Identifier: Apache-2.0
# How kvtel's own code is compiled.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_COMPILE_WARNING_AS_ERROR)
    set(CMAKE_COMPILE_WARNING_AS_ERROR ON CACHE BOOL "Warnings are errors")
endif()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(KVTEL_SANITIZE "" CACHE STRING "Sanitizers of everything that is built, e.g. address,undefined")
if(KVTEL_SANITIZE)
    add_compile_options(-fsanitize=${KVTEL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${KVTEL_SANITIZE})
endif()
# kvtel_harden(TARGET): a program whose memory is harder to abuse: its addresses are random (PIE), what the linker resolves is read-only
# before main() runs (RELRO, BIND_NOW), stacks and calls of libc are checked. tests/hardened.sh reads all of it off the binary.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
if(NOT KVTEL_SANITIZE)
    add_compile_options(-fstack-protector-strong)
    add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
endif()
function(kvtel_harden target)
    target_link_options(${target} PRIVATE LINKER:-z,relro LINKER:-z,now)
endfunction()

option(KVTEL_FUZZ "Build fuzz/ for libFuzzer (clang)" OFF)
if(KVTEL_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# How our own code is compiled: a room's, which sees the public headers and the rooms that it names.
add_library(kvtel_code INTERFACE)
target_include_directories(kvtel_code INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/generated)
target_compile_definitions(kvtel_code INTERFACE _GNU_SOURCE KVTEL_VERSION="${PROJECT_VERSION}")
target_compile_options(kvtel_code INTERFACE -Wall -Wextra -Wshadow -Wvla -Wundef
    $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wstrict-prototypes -Wmissing-prototypes>)

# What sees all of src/: tests, fuzz targets, benchmarks, the bindings of python/.
add_library(kvtel_internal INTERFACE)
target_link_libraries(kvtel_internal INTERFACE kvtel_code)
target_include_directories(kvtel_internal INTERFACE ${PROJECT_SOURCE_DIR}/src)
