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
option(KVTEL_FUZZ "Build fuzz/ for libFuzzer (clang)" OFF)
if(KVTEL_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# What sees src/: the library, the programs, the tests.
add_library(kvtel_internal INTERFACE)
target_include_directories(kvtel_internal INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src
                                                    ${PROJECT_BINARY_DIR}/generated)
target_compile_definitions(kvtel_internal INTERFACE _GNU_SOURCE KVTEL_VERSION="${PROJECT_VERSION}")
target_compile_options(kvtel_internal INTERFACE -Wall -Wextra -Wshadow $<$<COMPILE_LANGUAGE:C>:-Wconversion>)
