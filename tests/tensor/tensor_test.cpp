#include "octet/tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "tensor/buffer_pool.h"

namespace octet {
namespace {

constexpr DType kAll[] = {DType::kFloat32,    DType::kFloat64, DType::kFloat16, DType::kBFloat16, DType::kFloat8E4M3,
                          DType::kFloat8E5M2, DType::kInt4,    DType::kUint4,   DType::kInt8,     DType::kUint8,
                          DType::kInt16,      DType::kUint16,  DType::kInt32,   DType::kUint32,   DType::kInt64,
                          DType::kUint64,     DType::kBool};

TEST(DTypes, NamesRoundTrip) {
  for (DType d : kAll) {
    EXPECT_EQ(dtype_from_name(dtype_name(d)), d);
    EXPECT_GT(dtype_size(d), 0U);
    // bool is neither
    EXPECT_EQ(dtype_is_float(d) + dtype_is_integer(d), d == DType::kBool ? 0 : 1) << dtype_name(d);
  }
  EXPECT_EQ(dtype_from_name("float31"), DType::kUndefined);
  EXPECT_EQ(dtype_size(DType::kUndefined), 0U);
}

TEST(Numel, ChecksOverflowAndSign) {
  EXPECT_EQ(*checked_numel({}), 1);
  EXPECT_EQ(*checked_numel({2, 3, 4}), 24);
  EXPECT_EQ(*checked_numel({2, 0, 4}), 0);
  EXPECT_EQ(*checked_numel({INT64_MAX, INT64_MAX, 0}), 0);
  EXPECT_EQ(checked_numel({INT64_MAX, 2}).status().code(), StatusCode::kResourceLimit);
  EXPECT_EQ(checked_numel({int64_t{1} << 32, int64_t{1} << 32}).status().code(), StatusCode::kResourceLimit);
  EXPECT_EQ(checked_numel({2, -1}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(checked_numel({0, -1}).status().code(), StatusCode::kInvalidArgument);
}

TEST(TensorCreate, RefusesWhatIsTooLarge) {
  EXPECT_EQ(Tensor::create(DType::kFloat32, {INT64_MAX / 2}).status().code(), StatusCode::kResourceLimit);
  EXPECT_EQ(Tensor::create(DType::kFloat64, {INT64_MAX / 8 + 1}).status().code(), StatusCode::kResourceLimit);
  EXPECT_EQ(Tensor::create(DType::kInt8, {-1}).status().code(), StatusCode::kInvalidArgument);
  const int64_t before = tensor_byte_limit();
  set_tensor_byte_limit(100);
  EXPECT_TRUE(Tensor::create(DType::kFloat32, {25}).is_ok());
  const auto over = Tensor::create(DType::kFloat32, {26});
  set_tensor_byte_limit(before);
  EXPECT_EQ(over.status().code(), StatusCode::kResourceLimit);
  EXPECT_NE(over.status().message().find("[26]"), std::string::npos);
  EXPECT_THROW(Tensor(DType::kInt8, {-1}), std::length_error);
}

TEST(TensorMemory, SharedAlignedCloned) {
  Tensor a = Tensor::from<float>({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a.raw()) % 64, 0U);
  Tensor shared = a;
  Tensor copy = a.clone();
  const Tensor flat = a.reshaped({4});
  a.data<float>()[3] = 9;
  EXPECT_EQ(shared.data<float>()[3], 9);
  EXPECT_EQ(flat.data<float>()[3], 9);
  EXPECT_EQ(copy.data<float>()[3], 4);
  EXPECT_EQ(flat.dims(), (Dims{4}));
  EXPECT_EQ(a.dim(-1), 2);
  EXPECT_FALSE(Tensor().clone().defined());
}

TEST(TensorMemory, EmptyAndScalar) {
  const Tensor empty = Tensor::create(DType::kFloat32, {0, 3}).value();
  EXPECT_EQ(empty.numel(), 0);
  EXPECT_NE(empty.raw(), nullptr);
  const Tensor scalar = Tensor::scalar<int64_t>(7);
  EXPECT_EQ(scalar.rank(), 0);
  EXPECT_EQ(scalar.numel(), 1);
  EXPECT_EQ(*scalar.data<int64_t>(), 7);
}

TEST(BufferPool, TensorsInAScopeUseTheMemoryOfThoseBeforeThem) {
  const auto pool = std::make_shared<BufferPool>();
  const void* first = nullptr;
  for (int round = 0; round < 3; ++round) {
    const PoolScope scope(pool);
    const Tensor large = Tensor::create(DType::kFloat32, {2000}).value();
    const Tensor other(DType::kFloat32, {1900});  // both live: two buffers
    const Tensor small(DType::kFloat32, {4});     // not worth a page
    EXPECT_NE(large.raw(), other.raw());
    if (round == 0) first = std::min(large.raw(), other.raw());
    EXPECT_EQ(std::min(large.raw(), other.raw()), first);
    EXPECT_EQ(pool->made(), 2);
  }
  const Tensor outside(DType::kFloat32, {2000});
  EXPECT_EQ(pool->made(), 2);
  const PoolScope scope(pool);
  const Tensor much_smaller(DType::kFloat32, {1100}), much_larger(DType::kFloat32, {200000});
  EXPECT_EQ(pool->made(), 3);
}

TEST(BufferPool, ATensorOutlivesPoolAndScope) {
  Tensor kept;
  {
    const auto outer = std::make_shared<BufferPool>(), inner = std::make_shared<BufferPool>();
    const PoolScope scope(outer);
    {
      const PoolScope nested(inner);
      kept = Tensor(DType::kUint8, {10000});
    }
    EXPECT_EQ(inner->made(), 1);
    const Tensor t(DType::kUint8, {10000});
    EXPECT_EQ(outer->made(), 1);
  }
  std::memset(kept.raw(), 7, 10000);
  EXPECT_EQ(kept.data<uint8_t>()[9999], 7);
}

TEST(SameBits, TypeShapeAndBits) {
  const Tensor a = Tensor::from<float>({2}, {0.0F, 1.0F});
  EXPECT_TRUE(same_bits(a, a.clone()));
  EXPECT_FALSE(same_bits(a, Tensor::from<float>({2}, {-0.0F, 1.0F})));  // equal numbers, other bits
  EXPECT_FALSE(same_bits(a, a.reshaped({2, 1})));
  EXPECT_FALSE(same_bits(Tensor::from<int8_t>({1}, {1}), Tensor::from<uint8_t>({1}, {1})));
  EXPECT_TRUE(same_bits(Tensor(DType::kInt8, {0}), Tensor(DType::kInt8, {0})));
}

TEST(ToInt64s, AllIntegerTypes) {
  EXPECT_EQ(*to_int64s(Tensor::from<int8_t>({2}, {-1, 5})), (std::vector<int64_t>{-1, 5}));
  EXPECT_EQ(*to_int64s(Tensor::from<uint16_t>({1}, {65535})), std::vector<int64_t>{65535});
  EXPECT_EQ(*to_int64s(Tensor::from<bool>({2}, {true, false})), (std::vector<int64_t>{1, 0}));
  Tensor nibbles(DType::kInt4, {1});
  *nibbles.data<int8_t>() = -8;
  EXPECT_EQ(*to_int64s(nibbles), std::vector<int64_t>{-8});
  EXPECT_FALSE(to_int64s(Tensor::scalar(1.0F)).is_ok());
  EXPECT_FALSE(to_int64s(Tensor()).is_ok());
}

}  // namespace
}  // namespace octet
