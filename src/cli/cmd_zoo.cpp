// octet zoo: networks to begin with, and trained weights for them.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "octet/onnx.h"
#include "octet/zoo.h"

namespace octet::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string name, weights, output;
  std::vector<std::string> keep;
  ZooOptions zoo;
  bool deploy = false;
};

Status list(bool json) {
  Json all = Json::array();
  Table table({"network", "<input", "parameters", "MACs", "<weights", "<paper"});
  for (const ZooNetwork& n : zoo_networks()) {
    OCTET_ASSIGN(const NetworkCost cost, zoo_cost(n.name));
    all.push_back({{"name", n.name},
                   {"task", n.task},
                   {"input", {3, n.size, n.size}},
                   {"classes", n.classes},
                   {"parameters", cost.parameters},
                   {"macs", cost.macs},
                   {"state_names", n.state_names},
                   {"paper", n.paper}});
    table.add({n.name, fmt::format("3x{}x{}", n.size, n.size), fmt::format("{:.2f} M", cost.parameters / 1e6),
               fmt::format("{:.1f} M", cost.macs / 1e6), n.state_names.empty() ? "-" : n.state_names, n.paper});
  }
  fmt::print("{}", json ? all.dump(2) + "\n" : table.to_string());
  return Status::ok();
}

Status export_network(const Options& o, bool json) {
  OCTET_ASSIGN(Graph graph, build_network(o.name, o.zoo));
  if (o.weights.empty() && !o.keep.empty()) return invalid_argument("--keep says what --weights leaves; give both");
  if (!o.weights.empty()) OCTET_RETURN_IF_ERROR(load_weights(graph, o.weights, {o.keep}));
  const NetworkCost cost = network_cost(graph);
  if (o.deploy) {
    OCTET_ASSIGN(graph, deploy(graph));
  }
  const std::string path = o.output.empty() ? o.name + ".onnx" : o.output;
  OCTET_RETURN_IF_ERROR(save_onnx(graph, path));
  Json j = {{"network", o.name},  {"output", path},     {"weights", o.weights},
            {"seed", o.zoo.seed}, {"deploy", o.deploy}, {"parameters", cost.parameters},
            {"macs", cost.macs}};
  if (json) fmt::print("{}\n", j.dump(2, ' ', false, Json::error_handler_t::replace));
  else
    fmt::print("{}: {} with {} parameters and {} multiply-accumulates per image, {}{}\n", path, o.name,
               human_count(cost.parameters), human_count(cost.macs),
               o.weights.empty() ? fmt::format("initial weights of seed {}", o.zoo.seed) : "weights of " + o.weights,
               o.deploy ? ", in the form for inference" : "");
  return Status::ok();
}

void add_list(CLI::App& zoo, const std::shared_ptr<Common>& common) {
  CLI::App* cmd = zoo.add_subcommand("list", "All networks with their size, cost and paper");
  cmd->add_flag("--json", common->json, "print one JSON document to stdout instead of a table");
  cmd->callback([common] {
    const Status status = list(common->json);
    if (!status.is_ok()) common->exit = fail(status);
  });
}

void add_export(CLI::App& zoo, const std::shared_ptr<Common>& common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = zoo.add_subcommand("export", "Write a network as ONNX, to be trained or with trained weights");
  cmd->add_option("NAME", o->name, "network, as 'octet zoo list' calls it")->required();
  cmd->add_option("--weights", o->weights, "safetensors file or PyTorch state dict (.pth) with the library's names");
  cmd->add_option("--keep", o->keep, "weights that keep their initial values: a name or glob like 'fc.*'; repeatable")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  cmd->add_option("--classes", o->zoo.classes, "number of classes; as in the paper when absent")
      ->check(CLI::PositiveNumber);
  cmd->add_option("--size", o->zoo.size, "height and width in pixels; as in the paper when absent")
      ->check(CLI::PositiveNumber);
  cmd->add_option("--channels", o->zoo.channels, "channels of the input: 1 or 3");
  cmd->add_option("--seed", o->zoo.seed, "of the initial weights");
  cmd->add_flag("--deploy", o->deploy,
                "the form for inference: branches and batch norms folded, heads of a detector joined");
  cmd->add_option("-o,--output", o->output, "file to write; NAME.onnx when absent");
  cmd->add_flag("--json", common->json, "print one JSON document to stdout");
  cmd->footer("Example: octet zoo export resnet18 --weights resnet18-f37072fd.pth --deploy -o resnet18.onnx");
  cmd->callback([o, common] {
    const Status status = export_network(*o, common->json);
    if (!status.is_ok()) common->exit = fail(status);
  });
}

}  // namespace

void add_zoo(CLI::App& app, std::shared_ptr<Common> common) {
  CLI::App* cmd = app.add_subcommand("zoo", "Networks to begin with: list them, write one as ONNX");
  cmd->require_subcommand(1);
  add_list(*cmd, common);
  add_export(*cmd, common);
}

}  // namespace octet::cli
