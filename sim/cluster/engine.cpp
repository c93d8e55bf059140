#include "sim/cluster/engine.h"

#include "sim/base/error.h"

namespace kvcast {

std::vector<Request> Engine::fail(FineInstant /*now*/, const RetryPolicy& /*retry*/) {
  check_failed("this engine cannot be lost", __FILE__, __LINE__);
}

void Engine::hold(bool /*held*/) { check_failed("this engine cannot be held", __FILE__, __LINE__); }

TimelinePoint Engine::look(FineInstant /*now*/) {
  check_failed("this engine is not scaled", __FILE__, __LINE__);
}

}  // namespace kvcast
