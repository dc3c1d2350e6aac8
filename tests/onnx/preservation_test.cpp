// What Octet does not interpret comes out as it went in.
#include <google/protobuf/unknown_field_set.h>

#include "onnx/models.h"

namespace octet::test {
namespace {

template <class Proto>
std::string unknown(const Proto& proto) {
  std::string bytes;
  EXPECT_TRUE(proto.unknown_fields().SerializeToString(&bytes));
  return bytes;
}

class Preservation : public ::testing::Test {
 protected:
  Preservation() : before_(rich_model()), graph_(load()), after_(written(graph_)) {}
  Graph load() {
    Result<Graph> graph = parse(before_);
    EXPECT_TRUE(graph.is_ok()) << graph.status().message();
    return std::move(*graph);
  }
  onnx::ModelProto before_;
  Graph graph_;
  onnx::ModelProto after_;
};

TEST_F(Preservation, OfTheModel) {
  EXPECT_EQ(after_.producer_name(), "maker");
  EXPECT_EQ(after_.producer_version(), "1.2");
  EXPECT_EQ(after_.domain(), "org.example");
  EXPECT_EQ(after_.model_version(), 17);
  EXPECT_EQ(after_.doc_string(), "a model");
  ASSERT_EQ(after_.metadata_props_size(), 1);
  EXPECT_EQ(after_.metadata_props(0).value(), "BSD");
  EXPECT_EQ(unknown(after_), unknown(before_));
  EXPECT_EQ(after_.ir_version(), 8);
}

TEST_F(Preservation, OfTheGraph) {
  const auto& before = before_.graph();
  const auto& after = after_.graph();
  EXPECT_EQ(after.doc_string(), "a graph");
  EXPECT_EQ(after.name(), "g");
  EXPECT_EQ(unknown(after), unknown(before));
  EXPECT_EQ(after.input(0).SerializeAsString(), before.input(0).SerializeAsString());
  EXPECT_EQ(after.output(0).doc_string(), "the output");
  ASSERT_EQ(after.value_info_size(), 1);
  EXPECT_EQ(after.value_info(0).type().tensor_type().shape().dim(0).dim_param(), "N");
  ASSERT_EQ(after.quantization_annotation_size(), 1);
  EXPECT_EQ(after.initializer(0).doc_string(), "the bias");
  EXPECT_EQ(unknown(after.initializer(0)), unknown(before.initializer(0)));
}

TEST_F(Preservation, OfNodes) {
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(after_.graph().node(i).SerializeAsString(), before_.graph().node(i).SerializeAsString());
  EXPECT_EQ(graph_.nodes[0].metadata.at("zeta"), "value of zeta");
  EXPECT_EQ(graph_.nodes[0].doc, "adds");
}

TEST_F(Preservation, EditedMetadataIsWritten) {
  graph_.nodes[0].metadata = {{"alpha", "new"}, {"beta", "added"}};
  Result<Graph> again = parse(written(graph_));
  ASSERT_TRUE(again.is_ok());
  EXPECT_EQ(again->nodes[0].metadata, graph_.nodes[0].metadata);
  graph_.nodes[1].metadata = {{"k", "v"}};
  again = parse(written(graph_));
  ASSERT_TRUE(again.is_ok());
  EXPECT_EQ(again->nodes[1].metadata.at("k"), "v");
}

TEST_F(Preservation, WhatVanishedTakesItsNotesAlong) {
  const ValueId x = graph_.inputs[0];
  graph_.nodes[1].inputs[0] = x;
  graph_.remove_nodes({true, false});
  graph_.compact();
  const onnx::ModelProto out = written(graph_);
  EXPECT_EQ(out.graph().node_size(), 1);
  EXPECT_EQ(out.graph().value_info_size(), 0);
  EXPECT_EQ(out.graph().initializer_size(), 0);
  EXPECT_EQ(out.graph().quantization_annotation_size(), 0);
}

TEST_F(Preservation, RenamedAndNewValuesHaveFreshEntries) {
  graph_.rename_value(graph_.outputs[0], "renamed");
  const onnx::ModelProto out = written(graph_);
  EXPECT_EQ(out.graph().output(0).name(), "renamed");
  EXPECT_FALSE(out.graph().output(0).has_doc_string());
  EXPECT_EQ(out.graph().output(0).type().tensor_type().shape().dim(0).dim_param(), "N");
}

TEST_F(Preservation, OtherDomainsFollowTheGraph) {
  graph_.other_opsets["org.example"] = 3;
  onnx::ModelProto out = written(graph_);
  ASSERT_EQ(out.opset_import_size(), 2);
  EXPECT_EQ(out.opset_import(1).domain(), "org.example");
  EXPECT_EQ(out.opset_import(1).version(), 3);
}

}  // namespace
}  // namespace octet::test
