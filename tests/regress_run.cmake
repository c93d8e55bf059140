# cmake -DKVCAST=kvcast -DBENCH=kvcast-bench -DWORK=folder -P regress_run.cmake: two benchmarks side by side on the CPU
# backend. Equal code must pass; a kernel that takes twice as long must be found, and no other.
file(MAKE_DIRECTORY ${WORK})
set(options regress --run --device cpu --only "\"op\": \"(silu_mul|rms_norm)\"" --samples 5 --blocks 12)

execute_process(COMMAND ${KVCAST} ${options} --base-bench ${BENCH} --new-bench ${BENCH}
  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
message(STATUS "equal code: exit ${code}\n${out}${err}")
if(NOT code EQUAL 0)
  message(FATAL_ERROR "equal code did not pass")
endif()

file(WRITE ${WORK}/slow-bench "#!/bin/sh\nexec '${BENCH}' --slow silu_mul=100 \"$@\"\n")
file(CHMOD ${WORK}/slow-bench PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
execute_process(COMMAND ${KVCAST} ${options} --base-bench ${BENCH} --new-bench ${WORK}/slow-bench --json ${WORK}/slow.json
  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
message(STATUS "silu_mul slowed: exit ${code}\n${out}${err}")
if(NOT code EQUAL 1)
  message(FATAL_ERROR "the slowed kernel was not found")
endif()
file(READ ${WORK}/slow.json json)
string(JSON count LENGTH "${json}" kernels)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON name GET "${json}" kernels ${i} name)
  string(JSON verdict GET "${json}" kernels ${i} verdict)
  if(name MATCHES "^silu_mul" AND NOT verdict STREQUAL "slower")
    message(FATAL_ERROR "${name} takes twice as long and is called ${verdict}")
  elseif(NOT name MATCHES "^silu_mul" AND verdict STREQUAL "slower")
    message(FATAL_ERROR "${name} did not change and is called slower")
  endif()
endforeach()
