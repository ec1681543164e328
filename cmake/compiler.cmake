# SPDX-License-Identifier: Apache-2.0
# How kvtel's own code is compiled.

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
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

# Flags for the whole build are in CMakePresets.json only. A build with a sanitizer leaves out the flags that do not
# work with it.
set(sanitized OFF)
if(CMAKE_C_FLAGS MATCHES "-fsanitize=")
    set(sanitized ON)
endif()
set(KVTEL_SANITIZE ${sanitized} CACHE BOOL "The compiler's flags have a sanitizer" FORCE)
mark_as_advanced(KVTEL_SANITIZE)

option(KVTEL_FUZZ "Build fuzz/ for libFuzzer (clang)" OFF)

# Warnings of all code here: libraries, programs, tests, examples, bindings.
add_library(kvtel_warnings INTERFACE)
target_compile_options(kvtel_warnings INTERFACE -Wall -Wextra -Wshadow -Wvla -Wundef
    $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wstrict-prototypes -Wmissing-prototypes>)

# Hardening of compiled code: checks of stacks and of calls of libc.
add_library(kvtel_checked INTERFACE)
if(NOT KVTEL_SANITIZE)
    target_compile_options(kvtel_checked INTERFACE -fstack-protector-strong)
    target_compile_definitions(kvtel_checked INTERFACE $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
endif()

# kvtel_harden(TARGET): hardens a program or shared library. A program gets random addresses (PIE), and addresses that
# the linker resolves are read-only before main() runs (RELRO, BIND_NOW). tests/hardened.sh checks the binaries.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
function(kvtel_harden target)
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:kvtel_checked>)
    target_link_options(${target} PRIVATE LINKER:-z,relro LINKER:-z,now)
endfunction()

# Compiles a room's code, which can include the public headers and those of the rooms that it names.
add_library(kvtel_code INTERFACE)
target_link_libraries(kvtel_code INTERFACE kvtel_warnings kvtel_checked)
target_include_directories(kvtel_code INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/generated)
target_compile_definitions(kvtel_code INTERFACE _GNU_SOURCE KVTEL_VERSION="${PROJECT_VERSION}")

# For code that can include every header of src/: tests, fuzz targets, benchmarks, the bindings of python/.
add_library(kvtel_internal INTERFACE)
target_link_libraries(kvtel_internal INTERFACE kvtel_code)
target_include_directories(kvtel_internal INTERFACE ${PROJECT_SOURCE_DIR}/src)
