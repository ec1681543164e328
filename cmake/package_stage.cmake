# SPDX-License-Identifier: Apache-2.0
# What CPack does with the installed files of each component before it packs them: what packages have and `cmake --install` does not.

set(source ${CPACK_KVTEL_SOURCE})
set(files ${source}/deploy/package)

# run(COMMAND...): stops where it fails.
function(run)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# compress(FILE...): by gzip, without name and time.
function(compress)
    if(ARGN)
        run(gzip -9nf ${ARGN})
    endif()
endfunction()

foreach(component ${CPACK_COMPONENTS_ALL})
    string(TOUPPER ${component} upper)
    set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component})
    file(GLOB pages ${root}/usr/share/man/man*/*.[1-9])
    compress(${pages})
    file(GLOB_RECURSE archives ${root}/usr/lib*/*.a)
    foreach(archive IN LISTS archives)
        run(${CPACK_KVTEL_STRIP} --strip-debug --remove-section=.comment --enable-deterministic-archives ${archive})
    endforeach()
    set(name ${CPACK_KVTEL_${CPACK_GENERATOR}_${upper}})
    if(CPACK_GENERATOR STREQUAL RPM)
        configure_file(${source}/LICENSE ${root}/usr/share/licenses/${name}/LICENSE COPYONLY)
        configure_file(${files}/copyright ${root}/usr/share/licenses/${name}/copyright COPYONLY)
    else()
        set(doc ${root}/usr/share/doc/${name})
        configure_file(${files}/copyright ${doc}/copyright COPYONLY)
        string(TIMESTAMP day "%a, %d %b %Y %H:%M:%S +0000" UTC)
        file(WRITE ${doc}/changelog.Debian "kvtel (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium\n\n"
             "  * See changelog.gz.\n\n -- ${CPACK_PACKAGE_CONTACT}  ${day}\n")
        configure_file(${source}/CHANGELOG.md ${doc}/changelog COPYONLY)
        compress(${doc}/changelog.Debian ${doc}/changelog)
        file(CHMOD_RECURSE ${doc} FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ
             DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
        # where Debian's zsh looks
        if(EXISTS ${root}/usr/share/zsh/site-functions)
            file(RENAME ${root}/usr/share/zsh/site-functions ${root}/usr/share/zsh/vendor-completions)
        endif()
    endif()
endforeach()
configure_file(${files}/kvtel.default ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/program/etc/default/kvtel COPYONLY)
