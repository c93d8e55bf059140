/// A router whose choices are given.
#pragma once

#include <vector>

#include "sim/cluster/router.h"

namespace kvcast::test {

/// Request n goes to replicas[n].
class Assigned final : public Router {
 public:
  explicit Assigned(const std::vector<ReplicaId>& replicas) : replicas_(replicas) {}
  [[nodiscard]] std::optional<ReplicaId> pick(const Request& request,
                                              std::span<const ReplicaLoad> /*loads*/) override {
    return replicas_[to_number(request.id)];
  }
  [[nodiscard]] RouterNeeds needs() const override { return {}; }

 private:
  const std::vector<ReplicaId>& replicas_;
};

}  // namespace kvcast::test
