# SPDX-License-Identifier: Apache-2.0
# Packages of Debian and RPM by CPack: `./run package` builds them. Names of components are those of install.cmake.

set(CPACK_PACKAGE_NAME kvtel)
set(CPACK_PACKAGE_VENDOR kvtel)
set(CPACK_PACKAGE_CONTACT "The kvtel developers <kvtel@users.noreply.github.com>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_COMPONENTS_ALL libraries development program)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/package_stage.cmake)
set(CPACK_KVTEL_SOURCE ${PROJECT_SOURCE_DIR})
set(CPACK_KVTEL_STRIP ${CMAKE_STRIP})
set(package_files ${PROJECT_SOURCE_DIR}/deploy/package)
set(soversion ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

set(text_libraries "Libraries: libkvtel_record records transfers of KV-cache blocks into a file
in shared memory, which the exporter reads. libkvtel has vLLM's KV connector
metrics besides.")
set(text_development "Headers, static libraries and the files of pkg-config and CMake for programs
that record transfers of KV-cache blocks.")
set(text_program "Prometheus exporter and tools: kvtel serve exports to Prometheus what engines
of LLM inference on this machine (vLLM, SGLang, Dynamo, any user of NIXL) moved
of their KV caches. kvtel top shows the same in a terminal. NIXL's plug-in is
here, too.")

# -- Debian --

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_NAME libkvtel${soversion})
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_SECTION libs)
file(CONFIGURE OUTPUT package/shlibs @ONLY
     CONTENT "libkvtel @soversion@ libkvtel@soversion@ (>= @PROJECT_VERSION@)\nlibkvtel_record @soversion@ libkvtel@soversion@ (>= @PROJECT_VERSION@)\n")
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/package/shlibs ${package_files}/triggers)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libkvtel-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
    "libkvtel${soversion} (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}), libjansson-dev")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME kvtel)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION net)
# sysusers and tmpfiles come with systemd, or alone, for containers
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS
    "systemd | systemd-standalone-sysusers | systemd-sysusers, systemd | systemd-standalone-tmpfiles | systemd-tmpfiles")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "libcurl3-gnutls | libcurl4") # loaded for OTLP and kvtel top --url
set(CPACK_DEBIAN_PROGRAM_PACKAGE_CONTROL_EXTRA
    ${package_files}/postinst ${package_files}/prerm ${package_files}/postrm ${package_files}/conffiles)
foreach(component ${CPACK_COMPONENTS_ALL})
    string(TOUPPER ${component} upper)
    set(CPACK_COMPONENT_${upper}_DESCRIPTION "${text_${component}}")
    set(CPACK_DEBIAN_${upper}_DESCRIPTION "${text_${component}}")
    set(CPACK_RPM_${upper}_PACKAGE_SUMMARY "${PROJECT_DESCRIPTION}")
    set(CPACK_RPM_${upper}_PACKAGE_DESCRIPTION "${text_${component}}")
endforeach()

# -- RPM --

set(CPACK_RPM_COMPONENT_INSTALL ON)
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_RELEASE 1)
set(CPACK_RPM_PACKAGE_LICENSE "Apache-2.0 AND MIT AND BSL-1.0")
set(CPACK_RPM_PACKAGE_AUTOREQ ON)
set(CPACK_RPM_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_MAIN_COMPONENT program)
set(CPACK_RPM_LIBRARIES_PACKAGE_NAME kvtel-libs)
set(CPACK_RPM_DEVELOPMENT_PACKAGE_NAME kvtel-devel)
set(CPACK_RPM_DEVELOPMENT_PACKAGE_REQUIRES "kvtel-libs = ${PROJECT_VERSION}-${CPACK_RPM_PACKAGE_RELEASE}, jansson-devel")
set(CPACK_RPM_PROGRAM_PACKAGE_NAME kvtel)
set(CPACK_RPM_PROGRAM_PACKAGE_REQUIRES "systemd")
set(CPACK_RPM_PROGRAM_USER_FILELIST "%config(noreplace) /etc/default/kvtel")
set(CPACK_RPM_PROGRAM_POST_INSTALL_SCRIPT_FILE ${package_files}/rpm_post)
set(CPACK_RPM_PROGRAM_PRE_UNINSTALL_SCRIPT_FILE ${package_files}/rpm_preun)
set(CPACK_RPM_PROGRAM_POST_UNINSTALL_SCRIPT_FILE ${package_files}/rpm_postun)
foreach(dir bin include lib lib/systemd lib/systemd/system lib/sysusers.d lib/tmpfiles.d ${CMAKE_INSTALL_LIBDIR} ${CMAKE_INSTALL_LIBDIR}/cmake
        ${CMAKE_INSTALL_LIBDIR}/pkgconfig share share/bash-completion share/bash-completion/completions share/fish share/fish/vendor_completions.d
        share/man share/man/man1 share/man/man3 share/man/man5 share/zsh share/zsh/site-functions share/doc share/licenses)
    list(APPEND CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /usr/${dir})
endforeach()
list(APPEND CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /etc /etc/default)

foreach(component ${CPACK_COMPONENTS_ALL}) # names for package_stage.cmake
    string(TOUPPER ${component} upper)
    set(CPACK_KVTEL_DEB_${upper} ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
    set(CPACK_KVTEL_RPM_${upper} ${CPACK_RPM_${upper}_PACKAGE_NAME})
endforeach()

include(CPack)
