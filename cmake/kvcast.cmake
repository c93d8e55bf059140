# Warnings and flags that every kvcast target shares.
add_library(kvcast_options INTERFACE)
target_compile_options(kvcast_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast -Woverloaded-virtual -Wnon-virtual-dtor
  -Wcast-qual -Wdouble-promotion -Wimplicit-fallthrough -Wundef
  # In tests g++ 12 sees null pointers in the standard library's stream iterators, at -O1 in its strings and in nlohmann/json.
  $<$<NOT:$<OR:$<BOOL:$<TARGET_PROPERTY:KVCAST_TEST>>,$<BOOL:$<TARGET_PROPERTY:KVCAST_COLD>>>>:-Wnull-dereference>
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond;-Wlogical-op>
  # g++ 12 and 13 see overlaps in every `"x" + std::string` (GCC bug 105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,14>>:-Wno-restrict>
  $<$<BOOL:${KVCAST_WERROR}>:-Werror>
  -ffp-contract=off)
target_include_directories(kvcast_options INTERFACE ${PROJECT_SOURCE_DIR})

# kvcast_library(NAME FOLDER [EXCLUDE file...] [PUBLIC folder-or-target...] [PRIVATE ...]): the folder's .cpp files as target kvcast_NAME.
function(kvcast_library name folder)
  cmake_parse_arguments(ARG "" "" "EXCLUDE;PUBLIC;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  foreach(file IN LISTS ARG_EXCLUDE)
    list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/${folder}/${file})
  endforeach()
  if(sources)
    add_library(kvcast_${name} STATIC ${sources})
    set(visibility PUBLIC)
    target_link_libraries(kvcast_${name} PRIVATE kvcast_options)
    target_compile_definitions(kvcast_${name} PRIVATE KVCAST_VERSION="${PROJECT_VERSION}")
    target_include_directories(kvcast_${name} SYSTEM PRIVATE ${RANDOM123_INCLUDE})
  else()
    add_library(kvcast_${name} INTERFACE)
    set(visibility INTERFACE)
  endif()
  target_include_directories(kvcast_${name} ${visibility} ${PROJECT_SOURCE_DIR})
  foreach(dependency IN LISTS ARG_PUBLIC)
    if(TARGET kvcast_${dependency})
      set(dependency kvcast_${dependency})
    endif()
    target_link_libraries(kvcast_${name} ${visibility} ${dependency})
  endforeach()
  if(sources)
    target_link_libraries(kvcast_${name} PRIVATE ${ARG_PRIVATE})
  endif()
endfunction()

# kvcast_embed(NAME FOLDER FUNCTION): every file below FOLDER as text inside kvcast_NAME, so that the binary needs no installed data;
# FUNCTION() lists them (sim/base/embedded.h).
function(kvcast_embed name folder function)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${folder}/*)
  set(output ${CMAKE_BINARY_DIR}/${function}.cpp)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -DFOLDER=${folder} -DFUNCTION=${function} -DOUTPUT=${output}
      -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  target_sources(kvcast_${name} PRIVATE ${output})
endfunction()
