// What nvcc made of the kernels, from the reports that the build keeps (cmake/keep_ptxas_report): every
// variant is there for every architecture, and none spills registers or needs a stack.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "kernels/attention/variants.h"

namespace kvcast::kernels {
namespace {

struct CompiledKernel {
  std::string name;          // mangled
  std::string architecture;  // sm_90a
  std::string properties;    // "0 bytes stack frame, ..."
};

std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const std::size_t begin = text.find(before);
  if (begin == std::string::npos) return "";
  const std::size_t at = begin + before.size();
  return text.substr(at, text.find(after, at) - at);
}

std::vector<CompiledKernel> read_reports() {
  std::vector<CompiledKernel> kernels;
  const std::filesystem::path folder = std::filesystem::path(KVCAST_BINARY_DIR) / "kernels";
  if (!std::filesystem::exists(folder)) return kernels;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".ptxas") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (const std::string name = between(line, "Compiling entry function '", "'"); !name.empty()) {
        kernels.push_back({name, between(line, "for '", "'"), ""});
      } else if (line.find("bytes stack frame") != std::string::npos && !kernels.empty() &&
                 kernels.back().properties.empty()) {
        kernels.back().properties = line.substr(line.find_first_not_of(' '));
      }
    }
  }
  return kernels;
}

/// How the variant's template arguments look in a mangled name.
std::string mangled(const Variant& variant) {
  return "8KernelOfILNS0_6KvTypeE" + std::to_string(static_cast<int>(variant.type)) + "ELi" +
         std::to_string(variant.head_size) + "ELNS0_4FormE" + std::to_string(static_cast<int>(variant.form)) +
         "EE";
}

std::vector<CompiledKernel> reports_or_skip() {
  std::vector<CompiledKernel> kernels = read_reports();
  if (kernels.empty()) BOOST_TEST_MESSAGE("SKIPPED: no CUDA kernels were compiled in " << KVCAST_BINARY_DIR);
  return kernels;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(compiled_kernels)

BOOST_AUTO_TEST_CASE(every_variant_is_instantiated_for_every_architecture) {
  const std::vector<CompiledKernel> kernels = reports_or_skip();
  if (kernels.empty()) return;
  std::map<std::string, int> architectures;
  for (const CompiledKernel& kernel : kernels) ++architectures[kernel.architecture];
  for (const auto& entry : architectures) {
    const std::string& architecture = entry.first;
    BOOST_TEST_MESSAGE(architecture << ": " << entry.second << " kernels");
    for (const Variant& variant : attention_variants()) {
      const std::string name = mangled(variant);
      const bool found = std::any_of(kernels.begin(), kernels.end(), [&](const CompiledKernel& kernel) {
        return kernel.architecture == architecture && kernel.name.find(name) != std::string::npos;
      });
      BOOST_TEST(found, kv_type_name(variant.type)
                            << " head " << variant.head_size << " " << form_name(variant.form)
                            << " is not compiled for " << architecture);
    }
  }
}

BOOST_AUTO_TEST_CASE(no_kernel_spills_registers_or_needs_a_stack) {
  for (const CompiledKernel& kernel : reports_or_skip()) {
    BOOST_TEST_CONTEXT(kernel.name << " " << kernel.architecture) {
      BOOST_TEST(kernel.properties == "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::kernels
