# Everything kvcast needs; ./run.sh --setup installs it. CUDA is optional.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(yaml-cpp REQUIRED)
if(TARGET yaml-cpp::yaml-cpp AND NOT TARGET yaml-cpp)
  add_library(yaml-cpp ALIAS yaml-cpp::yaml-cpp)  # its name from 0.8 on
endif()
find_package(CLI11 REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(nlohmann_json REQUIRED)
find_package(simdjson REQUIRED)
find_package(ZLIB REQUIRED)
find_package(SQLite3 REQUIRED)

# Debian ships these two without CMake packages.
function(kvcast_find_library target header library)
  find_path(${target}_INCLUDE ${header} REQUIRED)
  find_library(${target}_LIBRARY ${library} REQUIRED)
  add_library(${target} INTERFACE)
  target_include_directories(${target} SYSTEM INTERFACE ${${target}_INCLUDE})
  target_link_libraries(${target} INTERFACE ${${target}_LIBRARY})
endfunction()
kvcast_find_library(kvcast_zstd zstd.h zstd)
kvcast_find_library(kvcast_xxhash xxhash.h xxhash)
find_path(RANDOM123_INCLUDE Random123/philox.h REQUIRED)

# The GPU kernels take minutes to compile and nothing else needs them: they are asked for. The NVIDIA packages on PyPI
# (nvidia-cuda-nvcc and its companions) are a toolkit too: -DCMAKE_CUDA_COMPILER=.../nvidia/cu13/bin/nvcc.
option(KVCAST_CUDA "Compile the GPU kernels (needs nvcc 12.4 or later)" OFF)
if(KVCAST_CUDA)
  # Every architecture that the kernels are written for; one is enough for a machine of one's own.
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 89 90a CACHE STRING "Architectures of the GPU kernels")
  endif()
  enable_language(CUDA)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.4)
    message(FATAL_ERROR "The GPU kernels need nvcc 12.4 or later; this is ${CMAKE_CUDA_COMPILER_VERSION}")
  endif()
else()
  message(STATUS "The GPU kernels are not built (-DKVCAST_CUDA=ON builds them); everything else works")
endif()
