# The whole pipeline on the CPU backend, for real: measure, fit, judge the fit by 200 steps that the backend runs, forecast a load with it,
# compare with itself and with a benchmark whose matrix products were made slower.
#
# The error of the 200 steps is printed. It fails the test only where something is broken rather than disturbed: on a quiet machine it is
# 2 to 3 % (docs/calibration.md).
set(GROSS_ERROR_PERCENT 40)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
file(COPY ${FOLDER}/kvcast-small.json ${FOLDER}/small-model-cpu.yaml DESTINATION ${WORK})

# run(EXIT_CODE program argument...): the output is left in `output`
function(run expected)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT code EQUAL expected)
    list(JOIN ARGN " " command)
    message(NOTICE "${out}${err}")
    message(FATAL_ERROR "${command}: exit ${code}, expected ${expected}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

run(0 ${PROGRAM} calibrate --device cpu --quick --steps 200 --out cpu.jsonl --report cpu.html)
message(NOTICE "${output}")
if(NOT output MATCHES "200 random steps.*median \\|error\\| ([0-9]+)\\.[0-9] %")
  message(FATAL_ERROR "calibrate did not say how far its forecast of the steps was off")
endif()
if(CMAKE_MATCH_1 GREATER GROSS_ERROR_PERCENT)
  message(FATAL_ERROR "the forecast of 200 steps is off by ${CMAKE_MATCH_1} % in the median: more than a busy machine explains")
endif()
file(READ ${WORK}/cpu.html page)
if(NOT page MATCHES "id=\"roofline-t\"" OR NOT page MATCHES "id=\"residuals-t\"")
  message(FATAL_ERROR "the report lacks its pictures")
endif()

run(0 ${PROGRAM} simulate small-model-cpu.yaml --json first.json)
file(READ ${WORK}/first.json result)
if(NOT result MATCHES "kvcast's own kernels, timed on cpu")
  message(FATAL_ERROR "simulate does not say what its step times rest on")
endif()
run(0 ${PROGRAM} simulate small-model-cpu.yaml --json second.json)
file(SHA256 ${WORK}/first.json first)
file(SHA256 ${WORK}/second.json second)
if(NOT first STREQUAL second)
  message(FATAL_ERROR "two equal runs gave different results")
endif()

# Records alone give the same fit: measuring and fitting are apart.
run(0 ${PROGRAM} calibrate --from cpu.jsonl --out again.jsonl)
file(STRINGS ${WORK}/cpu.jsonl fits REGEX "^{\"fit\"")
file(STRINGS ${WORK}/again.jsonl fits_again REGEX "^{\"fit\"")
if(NOT fits STREQUAL fits_again)
  message(FATAL_ERROR "the same records gave another fit")
endif()

run(0 ${PROGRAM} regress cpu.jsonl cpu.jsonl)
run(0 ${BENCH} --device cpu --quick --only "\"gemm\"" --slow gemm=100 --out slow.jsonl)
run(1 ${PROGRAM} regress cpu.jsonl slow.jsonl)
