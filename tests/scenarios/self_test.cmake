# Tests run.cmake with a shell script in the program's place.
file(REMOVE_RECURSE ${WORK})
file(WRITE ${WORK}/program "#!/bin/sh\nprintf 'got [%s]; ' \"$@\" >&2\nprintf '\\n' >&2\n[ \"$1\" = loud ] && echo 'a;b [c]'\nexit 2\n")
file(CHMOD ${WORK}/program PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)

# check(NAME YAML EXPECTED OUTCOME): OUTCOME is TRUE where the runner must accept.
function(check name yaml expected outcome)
  file(WRITE ${WORK}/${name}.yaml "${yaml}")
  file(WRITE ${WORK}/${name}.expected "${expected}")
  execute_process(COMMAND ${CMAKE_COMMAND} -DPROGRAM=${WORK}/program -DSCENARIO=${WORK}/${name}.yaml -P ${RUNNER}
    RESULT_VARIABLE result OUTPUT_VARIABLE ignored ERROR_VARIABLE error)
  if((result EQUAL 0) STREQUAL outcome OR (result EQUAL 0 AND outcome) OR (NOT result EQUAL 0 AND NOT outcome))
    return()
  endif()
  message(FATAL_ERROR "${name}: the runner should have said ${outcome}: ${result}\n${error}")
endfunction()

unset(ENV{KVCAST_REWRITE})
check(default "a: 1\n" "exit 2\ngot [simulate]; got [default.yaml]; \n" TRUE)
check(arguments "# args: memory --set 'a=b c'\n" "exit 2\ngot [memory]; got [--set]; got [a=b c]; \n" TRUE)
check(both_streams "# args: loud\n" "exit 2\ngot [loud]; \n--- stdout\na;b [c]\n" TRUE)
check(wrong_code "a: 1\n" "exit 3\ngot [simulate]; got [wrong_code.yaml]; \n" FALSE)
check(wrong_message "a: 1\n" "exit 2\ngot [simulate]; got [other.yaml]; \n" FALSE)
check(unexpected_stdout "# args: loud\n" "exit 2\ngot [loud]; \n" FALSE)
check(missing_stdout "# args: quiet\n" "exit 2\ngot [quiet]; \n--- stdout\na;b [c]\n" FALSE)

set(ENV{KVCAST_REWRITE} 1)
check(rewritten "a: 1\n" "old" TRUE)
unset(ENV{KVCAST_REWRITE})
file(READ ${WORK}/rewritten.expected rewritten)
if(NOT rewritten STREQUAL "exit 2\ngot [simulate]; got [rewritten.yaml]; \n")
  message(FATAL_ERROR "KVCAST_REWRITE wrote: ${rewritten}")
endif()
