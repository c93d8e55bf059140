/// The timer of a model that is spread over stages, and whose communication may hide behind computation.
#pragma once

#include <functional>
#include <memory>

#include "hwmodels/spread_options.h"
#include "sim/app/scenario.h"

namespace kvcast {

/// Makes the timer of one slice of the model. \param alone whether it stands for the host's work too
using SliceTimer = std::function<std::unique_ptr<StepTimer>(const SpreadOptions&, bool has_host)>;

[[nodiscard]] std::unique_ptr<StepTimer> compose_spread(const Deployment& deployment, const SliceTimer& make);

/// A formula divided evenly over the stages of the deployment's pipeline.
[[nodiscard]] std::unique_ptr<StepTimer> divide_over_stages(const Deployment& deployment,
                                                            const AffineTime& formula);

}  // namespace kvcast
