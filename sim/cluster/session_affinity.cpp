// All turns of a session go to one replica, by rendezvous hashing (Thaler and Ravishankar, 1998): when the
// number of replicas changes, only the sessions of replicas that left move. A request without a session is
// one of its own.
#include "sim/base/hash.h"
#include "sim/cluster/router.h"

namespace kvcast {
namespace {

class SessionAffinity final : public Router {
 public:
  [[nodiscard]] std::optional<ReplicaId> pick(const Request& request,
                                              std::span<const ReplicaLoad> loads) override {
    const bool named = request.details != nullptr && !request.details->session.empty();
    const std::uint64_t session = named ? hash64(request.details->session) : mix64(to_number(request.id));
    std::size_t best = loads.size();
    std::uint64_t highest = 0;
    for (std::size_t i = 0; i < loads.size(); ++i) {
      if (!loads[i].open) continue;
      const std::uint64_t score = mix64(session ^ mix64(i + 1));
      if (best < loads.size() && score <= highest) continue;
      highest = score;
      best = i;
    }
    return static_cast<ReplicaId>(best);
  }
  [[nodiscard]] RouterNeeds needs() const override { return {}; }
};

}  // namespace

RouterMaker make_session_affinity(Config& /*cluster*/) {
  return [](const RouterSetup&) { return std::make_unique<SessionAffinity>(); };
}

}  // namespace kvcast
