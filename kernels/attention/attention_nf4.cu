#include "kernels/attention/cuda_kernels.h"

namespace kvcast::kernels {

KVCAST_DEFINE_KERNELS(nf4)

}  // namespace kvcast::kernels
