# cmake -DPROGRAM=kvcast -DSCENARIO=path/NAME.yaml -P run.cmake: runs one scenario and compares (see CMakeLists.txt beside this file).
get_filename_component(folder ${SCENARIO} DIRECTORY)
get_filename_component(file ${SCENARIO} NAME)
string(REGEX REPLACE "\\.yaml$" ".expected" expected_path ${SCENARIO})

# Only the first line is looked at; the rest may be anything, invalid text included.
file(READ ${SCENARIO} head LIMIT 4096)
set(arguments "simulate ${file}")
if(head MATCHES "^# args:([^\n]*)")
  set(arguments "${CMAKE_MATCH_1}")
endif()
separate_arguments(arguments UNIX_COMMAND "${arguments}")

execute_process(COMMAND ${PROGRAM} ${arguments} WORKING_DIRECTORY ${folder}
  RESULT_VARIABLE exit_code OUTPUT_VARIABLE stdout ERROR_VARIABLE stderr)
set(actual "exit ${exit_code}\n${stderr}")
if(NOT stdout STREQUAL "")
  if(NOT actual MATCHES "\n$")
    string(APPEND actual "\n")
  endif()
  string(APPEND actual "--- stdout\n${stdout}")
endif()

if(DEFINED ENV{KVCAST_REWRITE})
  file(WRITE ${expected_path} "${actual}")
  message(STATUS "wrote ${expected_path}")
  return()
endif()
if(NOT EXISTS ${expected_path})
  message(NOTICE "The program gave:\n${actual}")
  message(FATAL_ERROR "${expected_path} is missing; KVCAST_REWRITE=1 writes it")
endif()
file(READ ${expected_path} expected)
if(NOT actual STREQUAL expected)
  list(JOIN arguments " " arguments)
  # NOTICE keeps the text as it is; FATAL_ERROR would indent and wrap it.
  message(NOTICE "kvcast ${arguments}\n==== expected ====\n${expected}==== got ====\n${actual}==== end ====")
  message(FATAL_ERROR "${SCENARIO} differs from its .expected; KVCAST_REWRITE=1 rewrites it")
endif()
