# SPDX-License-Identifier: Apache-2.0
# Turns files into static C arrays: cmake -DOUTPUT=header -DFILES=name=path,name=path,... -P embed.cmake
string(REPLACE "," ";" files "${FILES}")
set(text "/* Made by cmake/embed.cmake. */\n")
foreach(entry IN LISTS files)
    string(FIND "${entry}" "=" at)
    string(SUBSTRING "${entry}" 0 ${at} name)
    math(EXPR at "${at} + 1")
    string(SUBSTRING "${entry}" ${at} -1 path)
    file(READ "${path}" bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(REGEX REPLACE "(0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],)"
           "\\1\n" bytes "${bytes}")
    string(APPEND text "static const unsigned char ${name}[] = {\n${bytes}\n};\n")
endforeach()
file(WRITE "${OUTPUT}" "${text}")
