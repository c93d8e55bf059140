/// Marks for code that nvcc compiles for the GPU and any C++20 compiler for the CPU.
#pragma once

#ifdef __CUDACC__
#define KVCAST_HOST_DEVICE __host__ __device__
#define KVCAST_DEVICE __device__ __forceinline__
#else
#define KVCAST_HOST_DEVICE
#define KVCAST_DEVICE inline
#endif
