// Every way in which a file may store a tensor.
#include <functional>

#include "onnx/models.h"

namespace octet::test {
namespace {

// One initializer as the only content; returned as it arrives in the graph.
Result<Tensor> load_tensor(const onnx::TensorProto& tensor, const std::string& folder = "") {
  onnx::ModelProto model = empty_model(21);
  model.set_ir_version(10);
  *model.mutable_graph()->add_initializer() = tensor;
  add_node(model, "Identity", {tensor.name()}, {"y"});
  add_output(model, "y");
  OCTET_ASSIGN(Graph graph, parse(model, folder));
  return *graph.value(graph.find_value(tensor.name())).constant;
}

onnx::TensorProto declare(int type, const std::vector<int64_t>& dims) {
  onnx::TensorProto tensor;
  tensor.set_name("t");
  tensor.set_data_type(type);
  for (int64_t d : dims) tensor.add_dims(d);
  return tensor;
}

struct TypedCase {
  const char* name;
  int type;
  DType dtype;
  std::function<void(onnx::TensorProto&)> fill;
  std::string bytes;  // little-endian elements in memory; three of them
};

void ints32(onnx::TensorProto& t, std::vector<int> values) {
  for (int v : values) t.add_int32_data(v);
}

std::string str(std::initializer_list<int> bytes) {
  std::string s;
  for (int b : bytes) s += static_cast<char>(b);
  return s;
}

std::vector<TypedCase> typed_cases() {
  using T = onnx::TensorProto;
  return {
      {"float", 1, DType::kFloat32,
       [](T& t) {
         for (float v : {1.f, -2.f, 0.f}) t.add_float_data(v);
       },
       str({0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0})},
      {"double", 11, DType::kFloat64,
       [](T& t) {
         for (double v : {1., -2., 0.}) t.add_double_data(v);
       },
       str({0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0})},
      {"uint8", 2, DType::kUint8,
       [](T& t) {
         ints32(t, {0, 200, 255});
       },
       str({0, 200, 255})},
      {"int8", 3, DType::kInt8,
       [](T& t) {
         ints32(t, {-128, -1, 127});
       },
       str({0x80, 0xff, 0x7f})},
      {"uint16", 4, DType::kUint16,
       [](T& t) {
         ints32(t, {0, 65535, 258});
       },
       str({0, 0, 0xff, 0xff, 2, 1})},
      {"int16", 5, DType::kInt16,
       [](T& t) {
         ints32(t, {-2, 1, 258});
       },
       str({0xfe, 0xff, 1, 0, 2, 1})},
      {"int32", 6, DType::kInt32,
       [](T& t) {
         ints32(t, {-2, 1, 0});
       },
       str({0xfe, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0})},
      {"int64", 7, DType::kInt64,
       [](T& t) {
         for (int v : {-1, 2, 0}) t.add_int64_data(v);
       },
       std::string(8, '\xff') + str({2, 0, 0, 0, 0, 0, 0, 0}) + std::string(8, '\0')},
      {"bool", 9, DType::kBool,
       [](T& t) {
         ints32(t, {1, 0, 7});
       },
       str({1, 0, 1})},
      {"float16", 10, DType::kFloat16,
       [](T& t) {
         ints32(t, {0x3c00, 0xc000, 0});
       },
       str({0, 0x3c, 0, 0xc0, 0, 0})},
      {"uint32", 12, DType::kUint32,
       [](T& t) {
         for (unsigned v : {1u, ~0u, 0u}) t.add_uint64_data(v);
       },
       str({1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})},
      {"uint64", 13, DType::kUint64,
       [](T& t) {
         for (uint64_t v : {uint64_t{1}, ~uint64_t{0}, uint64_t{0}}) t.add_uint64_data(v);
       },
       str({1, 0, 0, 0, 0, 0, 0, 0}) + std::string(8, '\xff') + std::string(8, '\0')},
      {"bfloat16", 16, DType::kBFloat16,
       [](T& t) {
         ints32(t, {0x3f80, 0xc000, 0});
       },
       str({0x80, 0x3f, 0, 0xc0, 0, 0})},
      {"float8e4m3", 17, DType::kFloat8E4M3,
       [](T& t) {
         ints32(t, {0x38, 0xb8, 0x7e});
       },
       str({0x38, 0xb8, 0x7e})},
      {"float8e5m2", 19, DType::kFloat8E5M2,
       [](T& t) {
         ints32(t, {0x3c, 0xbc, 0x7b});
       },
       str({0x3c, 0xbc, 0x7b})},
      // Two codes a byte, low half first: 1, 15, 8.
      {"uint4", 21, DType::kUint4,
       [](T& t) {
         ints32(t, {0xf1, 0x08});
       },
       str({1, 15, 8})},
      {"int4", 22, DType::kInt4,
       [](T& t) {
         ints32(t, {0xf1, 0x08});
       },
       str({1, 0xff, 0xf8})},
  };
}

std::string bytes_of(const Tensor& t) { return {t.data<char>(), static_cast<size_t>(t.nbytes())}; }

TEST(TensorForms, TypedFieldsOfEveryType) {
  for (const TypedCase& c : typed_cases()) {
    SCOPED_TRACE(c.name);
    onnx::TensorProto tensor = declare(c.type, {3});
    c.fill(tensor);
    Result<Tensor> loaded = load_tensor(tensor);
    ASSERT_TRUE(loaded.is_ok()) << loaded.status().message();
    EXPECT_EQ(loaded->dtype(), c.dtype);
    EXPECT_EQ(bytes_of(*loaded), c.bytes);

    // One value too few or too many is an error that names the tensor.
    for (int64_t wrong : {1, 5}) {
      onnx::TensorProto bad = tensor;
      bad.set_dims(0, wrong);
      const Status status = load_tensor(bad).status();
      EXPECT_EQ(status.code(), StatusCode::kDataCorrupt);
      EXPECT_HAS(status.message(), "initializer 't'");
    }
  }
}

TEST(TensorForms, RawDataOfEveryTypeSurvivesARoundTrip) {
  for (const TypedCase& c : typed_cases()) {
    SCOPED_TRACE(c.name);
    onnx::TensorProto tensor = declare(c.type, {3});
    const bool packed = c.dtype == DType::kInt4 || c.dtype == DType::kUint4;
    tensor.set_raw_data(packed ? str({0xf1, 0x08}) : c.bytes);
    onnx::ModelProto model = empty_model(21);
    *model.mutable_graph()->add_initializer() = tensor;
    add_node(model, "Identity", {"t"}, {"y"});
    add_output(model, "y");
    Result<Graph> graph = parse(model);
    ASSERT_TRUE(graph.is_ok()) << graph.status().message();
    EXPECT_EQ(bytes_of(*graph->value(graph->find_value("t")).constant), c.bytes);
    const onnx::ModelProto out = written(*graph);
    ASSERT_EQ(out.graph().initializer_size(), 1);
    EXPECT_EQ(out.graph().initializer(0).SerializeAsString(), tensor.SerializeAsString());
  }
}

TEST(TensorForms, BytesMustMatchTheShape) {
  onnx::TensorProto tensor = declare(1, {2, 2});
  tensor.set_raw_data(std::string(15, 'x'));
  EXPECT_HAS(load_tensor(tensor).status().message(), "shape [2, 2] of float32 needs 16 bytes, but 15 are there");
  tensor.clear_raw_data();
  EXPECT_FALSE(load_tensor(tensor).is_ok());  // no data at all
  tensor.set_dims(0, 0);
  EXPECT_TRUE(load_tensor(tensor).is_ok());  // no elements: none is right
}

TEST(TensorForms, HugeShapesAreRefusedBeforeAnythingIsAllocated) {
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{int64_t{1} << 40},
                                           {int64_t{1} << 31, int64_t{1} << 31},
                                           {int64_t{1} << 62, 4},
                                           {INT64_MAX},
                                           {-1},
                                           {-1, -1}}) {
    for (int type : {1, 3, 22}) {
      onnx::TensorProto tensor = declare(type, dims);
      tensor.set_raw_data("abcd");
      EXPECT_FALSE(load_tensor(tensor).is_ok());
      tensor.clear_raw_data();
      tensor.add_int32_data(1);
      EXPECT_FALSE(load_tensor(tensor).is_ok());
    }
  }
  EXPECT_FALSE(load_tensor(declare(1, std::vector<int64_t>(100, 1))).is_ok());
}

TEST(TensorForms, ValuesThatDoNotFitAreRefused) {
  onnx::TensorProto tensor = declare(3, {1});
  tensor.add_int32_data(300);
  EXPECT_HAS(load_tensor(tensor).status().message(), "value 300 in int32_data does not fit into int8");
  tensor.set_int32_data(0, 255);  // the bit pattern of -1
  ASSERT_TRUE(load_tensor(tensor).is_ok());
  EXPECT_EQ(load_tensor(tensor)->data<int8_t>()[0], -1);
}

TEST(TensorForms, UnsupportedTypesAreNamed) {
  for (const auto& [type, name] : std::vector<std::pair<int, std::string>>{
           {8, "STRING"}, {14, "COMPLEX64"}, {18, "FLOAT8E4M3FNUZ"}, {23, "FLOAT4E2M1"}, {99, "element type 99"}}) {
    const Status status = load_tensor(declare(type, {1})).status();
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_HAS(status.message(), name);
  }
}

TEST(TensorForms, RawBooleansBecomeZeroOrOne) {
  onnx::TensorProto tensor = declare(9, {3});
  tensor.set_raw_data(str({0, 1, 0xff}));
  Result<Tensor> loaded = load_tensor(tensor);
  ASSERT_TRUE(loaded.is_ok());
  EXPECT_EQ(bytes_of(*loaded), str({0, 1, 1}));
}

}  // namespace
}  // namespace octet::test
