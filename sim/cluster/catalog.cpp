#include "sim/cluster/router.h"

namespace kvcast {

const RouterCatalog& router_catalog() {
  static const RouterCatalog catalog(
      "router", {
                    {"round-robin", "each replica in turn", make_round_robin},
                    {"least-loaded", "fewest requests inside", make_least_loaded},
                    {"power-of-two", "the less loaded of two drawn at random", make_power_of_two},
                });
  return catalog;
}

}  // namespace kvcast
