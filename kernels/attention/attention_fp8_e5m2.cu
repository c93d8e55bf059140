#include "kernels/attention/cuda_kernels.h"

namespace kvcast::kernels {

KVCAST_DEFINE_KERNELS(fp8_e5m2)

}  // namespace kvcast::kernels
