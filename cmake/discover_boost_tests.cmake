# kvcast_discover_tests(TARGET [TIMEOUT seconds] [LABELS label...]): one ctest entry for every test case of a Boost.Test executable.
#
# The cases are asked of the executable itself after each build (like gtest_discover_tests does), so a new case needs no CMake run and
# a case that ctest does not know cannot exist. The second half of this file is what the build runs: cmake -P with the variables set.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(KVCAST_DISCOVER_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

  function(kvcast_discover_tests target)
    cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS" ${ARGN})
    set(list ${CMAKE_CURRENT_BINARY_DIR}/${target}_tests.cmake)
    add_custom_command(TARGET ${target} POST_BUILD BYPRODUCTS ${list}
      COMMAND ${CMAKE_COMMAND} -DEXECUTABLE=$<TARGET_FILE:${target}> -DNAME=${target} -DTIMEOUT=${ARG_TIMEOUT}
              "-DLABELS=${ARG_LABELS}" -DOUTPUT=${list} -P ${KVCAST_DISCOVER_SCRIPT} VERBATIM)
    # ctest reads the list if there is one; a target that was never built shows as a failing test, not as none.
    set(include ${CMAKE_CURRENT_BINARY_DIR}/${target}_include.cmake)
    file(WRITE ${include}
      "if(EXISTS \"${list}\")\n  include(\"${list}\")\nelse()\n  add_test(${target}_NOT_BUILT ${target}_NOT_BUILT)\nendif()\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${include})
  endfunction()
  return()
endif()

# --list_content prints the tree of suites and cases to stderr, four spaces a level, with '*' after what is enabled.
execute_process(COMMAND ${EXECUTABLE} --list_content RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE text)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${EXECUTABLE} --list_content failed (${result}):\n${out}${text}")
endif()
string(REPLACE ";" "\\;" text "${text}")
string(REPLACE "\n" ";" lines "${text}")

set(script "")
set(count 0)
set(previous "")
set(previous_depth -1)
list(APPEND lines "")  # flushes the last case
foreach(line IN LISTS lines)
  set(depth -1)
  if(line MATCHES "^( *)([^*]+)(\\*?)(: .*)?$")
    string(LENGTH "${CMAKE_MATCH_1}" spaces)
    set(name "${CMAKE_MATCH_2}")
    math(EXPR depth "${spaces} / 4")
  endif()
  # What has nothing below it is a case.
  if(previous_depth GREATER_EQUAL 0 AND depth LESS_EQUAL previous_depth)
    set(path "")
    foreach(level RANGE ${previous_depth})
      string(APPEND path "/${name_${level}}")
    endforeach()
    string(SUBSTRING "${path}" 1 -1 path)
    string(APPEND script "add_test([==[${NAME}/${path}]==] [==[${EXECUTABLE}]==] [==[--run_test=${path}]==] --report_level=no --log_level=test_suite)\n"
      "set_tests_properties([==[${NAME}/${path}]==] PROPERTIES TIMEOUT ${TIMEOUT} LABELS [==[${LABELS}]==])\n")
    math(EXPR count "${count} + 1")
  endif()
  if(depth GREATER_EQUAL 0)
    set(name_${depth} "${name}")
  endif()
  set(previous_depth ${depth})
endforeach()
if(count EQUAL 0)
  message(FATAL_ERROR "${EXECUTABLE} holds no test case")
endif()
file(WRITE ${OUTPUT} "${script}")
