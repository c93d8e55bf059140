/// The catalogue of links: what carries KV between GPUs, hosts, SSDs and remote pools (configs/links).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

/// One kind of link as its vendors publish it.
struct LinkDatasheet {
  std::string name;           // "pcie5"
  std::string title;          // "PCIe 5.0 x16"
  double gb_per_s = 0;        // one direction, 1e9 bytes; of an SSD: reads
  double write_gb_per_s = 0;  // the other direction
  double latency_us = 0;
  bool one_way = false;  // reads and writes share the device
  std::vector<std::string> sources;
};

/// \param where "file:line:column" of the name, for the message
/// \throws InputError naming the known ones and the nearest
[[nodiscard]] LinkDatasheet find_link(std::string_view name, const std::string& where);

/// All entries, in order of name.
[[nodiscard]] std::vector<LinkDatasheet> list_links();

}  // namespace kvcast
