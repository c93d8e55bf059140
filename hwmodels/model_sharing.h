/// What-ifs on a model's layers that no config.json of its family has: keys for model_overrides.
#pragma once

#include "hwmodels/model_families.h"

namespace kvcast {

/// Reads, of the language model's part, and changes spec->layers:
/// - cross_layer_sharing: n. Of every n attention layers that follow each other the first keeps K and V, the
/// others read
///   them (CLA, Brandon et al. 2024, arXiv 2405.12981).
/// - yoco_window: w. The first half of the layers attends to w tokens, the first layer of the second half
/// keeps the one
///   full cache that the others of the second half read (YOCO, Sun et al. 2024, arXiv 2405.05254).
/// - key_value_sharing: true. K and V are one vector, stored once and rotated when it is read as a key.
/// - linear_attention_layers: [i, ...]. These attention layers keep a state of head_dim x head_dim a head
/// instead
///   (linear attention, Katharopoulos et al. 2020, arXiv 2006.16236).
/// - streaming_layers: [i, ...] with streaming_sinks and streaming_window. These attend to the first tokens
/// and a window
///   (LightTransfer, Zhang et al. 2024, arXiv 2410.13846: "lazy" layers).
/// Layers that read another's cache project no keys and values of their own.
/// \throws InputError for layers that are none, or that have no attention
void read_sharing(const FamilyInput& input);

}  // namespace kvcast
