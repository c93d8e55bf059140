// The embedded default workload is what `kvcast trace fit` makes of the Azure conversation trace, byte for
// byte.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <sstream>
#include <string>

#include "sim/base/embedded.h"
#include "tests/support/data.h"
#include "workloads/trace_fit.h"
#include "workloads/trace_stats.h"

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(trace_profile)

BOOST_AUTO_TEST_CASE(azure_conv_is_reproducible) {
  const auto path = test::data_folder("traces/azure_llm_2023/AzureLLMInferenceTrace_conv.csv");
  if (!path) return;
  const WorkloadSetup setup = make_trace_workload(path->string(), "", 1);
  std::ostringstream yaml;
  write_fit(fit_workload(setup, {}), setup, yaml);
  const auto files = embedded_files();
  const auto embedded = std::find_if(files.begin(), files.end(), [](const EmbeddedFile& file) {
    return file.path == "configs/workloads/azure-conv.yaml";
  });
  BOOST_REQUIRE(embedded != files.end());
  BOOST_TEST(yaml.str() == embedded->text);
}

BOOST_AUTO_TEST_CASE(azure_conv_is_like_its_trace) {
  const auto path = test::data_folder("traces/azure_llm_2023/AzureLLMInferenceTrace_conv.csv");
  if (!path) return;
  const TraceStats trace = trace_stats(*make_trace_workload(path->string(), "", 1).make_source());
  Config config = Config::from_text("synthetic: {profile: azure-conv, requests: 1000000}", "test");
  const TraceStats model = trace_stats(*make_workload(config, 1, "").make_source());
  BOOST_TEST(model.input.mean() == trace.input.mean(), boost::test_tools::tolerance(0.005));
  BOOST_TEST(model.output.mean() == trace.output.mean(), boost::test_tools::tolerance(0.005));
  BOOST_TEST(model.input.std() == trace.input.std(), boost::test_tools::tolerance(0.02));
  BOOST_TEST(model.output.std() == trace.output.std(), boost::test_tools::tolerance(0.02));
  BOOST_TEST(model.context.quantile(0.5) == trace.context.quantile(0.5), boost::test_tools::tolerance(0.01));
  BOOST_TEST(model.context.quantile(0.99) == trace.context.quantile(0.99),
             boost::test_tools::tolerance(0.03));
  BOOST_TEST(model.rate() == trace.rate(), boost::test_tools::tolerance(0.005));
  BOOST_TEST(model.gaps.cv() == trace.gaps.cv(), boost::test_tools::tolerance(0.01));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
