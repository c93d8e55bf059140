#include "kernels/attention/cuda_kernels.h"

namespace kvcast::kernels {

KVCAST_DEFINE_KERNELS(int8)

}  // namespace kvcast::kernels
