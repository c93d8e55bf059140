// What bad input says.
#pragma once

#include <string>

#include "sim/base/error.h"

namespace kvcast {

/// The InputError's message that `act` throws, or "(nothing thrown)".
template <class Act>
std::string message_of(const Act& act) {
  try {
    act();
  } catch (const InputError& error) {
    return error.what();
  }
  return "(nothing thrown)";
}

}  // namespace kvcast
