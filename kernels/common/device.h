/// The thin layer between the kernels and the machine: one function for each GPU instruction that C++ does
/// not have. Under nvcc these are inline PTX; under any other compiler they are the emulation of a CTA on the
/// CPU (kernels/emulation), so that the kernels' own source can be run and checked without a GPU.
///
/// Fragments of mma.m16n8k16, with lane = 4 * group + place (PTX ISA, "Matrix fragments for mma.m16n8k16"):
///   A  a0 = (row group, k 2*place..+1), a1 = (row group + 8, same k), a2 = (row group, k + 8), a3 = (row
///   group + 8, k + 8) B  b0 = (k 2*place..+1, column group), b1 = (k + 8, column group) C  c0, c1 = (row
///   group, columns 2*place..+1), c2, c3 = (row group + 8, the same)
#pragma once

#include "kernels/common/portable.h"
#include "kernels/common/words.h"

#ifdef __CUDACC__
#include "kernels/common/device_cuda.h"
#define KVCAST_UNROLL _Pragma("unroll")
#define KVCAST_NO_UNROLL _Pragma("unroll 1")
#define KVCAST_PRAGMA(text) _Pragma(#text)
#define KVCAST_UNROLL_AS(count) KVCAST_PRAGMA(unroll count)
#else
#include "kernels/emulation/device.h"
#define KVCAST_UNROLL
#define KVCAST_NO_UNROLL
#define KVCAST_UNROLL_AS(count)
#endif
