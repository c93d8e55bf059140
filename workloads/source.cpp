#include "workloads/source.h"

#include "sim/base/error.h"

namespace kvcast {

Request OpenLoopSource::take() {
  KVCAST_CHECK(next_arrival().has_value());
  have_next_ = false;
  next_.id = RequestId{taken_++};
  return std::move(next_);
}

}  // namespace kvcast
