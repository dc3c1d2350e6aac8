// Vision transformer: Dosovitskiy et al., 2020, arXiv 2010.11929, in the size "tiny" of DeiT (Touvron et al., arXiv
// 2012.12877, table 1): 12 blocks of width 192 with 3 heads, patches of 16x16. Names and initial weights (Linear and
// positions truncated normal 0.02, patches as PyTorch's Conv2d) are timm's vit_tiny_patch16_224.
// The matrices of the blocks are MatMul operands, [in, out]; state dicts have them as [out, in].
#include <cmath>

#include "zoo/networks.h"

namespace octet::zoo {
namespace {

constexpr int64_t kPatch = 16, kWidth = 192, kHeads = 3, kBlocks = 12, kHidden = 4 * kWidth;
constexpr Init kTruncated{Init::Kind::kTruncatedNormal, 0.02};

// All values are [N, tokens, width] unless something else is said.
class Transformer {
 public:
  Transformer(Builder& b, int64_t tokens) : b_(b), tokens_(tokens) {}

  ValueId norm(const std::string& path, ValueId x) {
    return b_.op("LayerNormalization", path,
                 {x, b_.weight(path + ".weight", {kWidth}, kOnes), b_.weight(path + ".bias", {kWidth}, kZeros)},
                 {tokens_, kWidth}, {{"axis", int64_t{-1}}, {"epsilon", 1e-6F}});
  }

  ValueId block(const std::string& path, ValueId x) {
    x = sum(path + ".add1", x, attention(path + ".attn", norm(path + ".norm1", x)));
    ValueId y = linear(path + ".mlp.fc1", norm(path + ".norm2", x), kWidth, kHidden);
    y = linear(path + ".mlp.fc2", gelu(path + ".mlp.act", y), kHidden, kWidth);
    return sum(path + ".add2", x, y);
  }

 private:
  ValueId sum(const std::string& path, ValueId a, ValueId b) { return b_.op("Add", path, {a, b}, {tokens_, kWidth}); }

  ValueId linear(const std::string& path, ValueId x, int64_t in, int64_t out) {
    const ValueId product =
        b_.op("MatMul", path, {x, b_.weight(path + ".weight", {in, out}, kTruncated)}, {tokens_, out});
    return b_.op("Add", path + ".add", {product, b_.weight(path + ".bias", {out}, kZeros)}, {tokens_, out});
  }

  // x * (1 + erf(x / sqrt(2))) / 2.
  ValueId gelu(const std::string& path, ValueId x) {
    const Dims tail = {tokens_, kHidden};
    ValueId y = b_.op("Div", path + ".div", {x, b_.scalar(std::sqrt(2.0F))}, tail);
    y = b_.op("Add", path + ".add", {b_.op("Erf", path + ".erf", {y}, tail), b_.scalar(1.0F)}, tail);
    return b_.op("Mul", path, {b_.op("Mul", path + ".mul", {x, y}, tail), b_.scalar(0.5F)}, tail);
  }

  // A third of qkv, [N, tokens, width], to [N, heads, tokens, width / heads] or, for keys, with the last two swapped.
  ValueId heads(const std::string& path, ValueId qkv, int64_t third, bool swapped) {
    constexpr int64_t kHead = kWidth / kHeads;
    const ValueId part = b_.op("Slice", path + ".slice",
                               {qkv, b_.integers(path + ".start", {third * kWidth}),
                                b_.integers(path + ".end", {(third + 1) * kWidth}), b_.integers(path + ".axis", {2})},
                               {tokens_, kWidth});
    const ValueId split =
        b_.op("Reshape", path + ".reshape", {part, b_.integers(path + ".shape", {0, tokens_, kHeads, kHead})},
              {tokens_, kHeads, kHead});
    const std::vector<int64_t> perm = swapped ? std::vector<int64_t>{0, 2, 3, 1} : std::vector<int64_t>{0, 2, 1, 3};
    return b_.op("Transpose", path, {split}, swapped ? Dims{kHeads, kHead, tokens_} : Dims{kHeads, tokens_, kHead},
                 {{"perm", perm}});
  }

  ValueId attention(const std::string& path, ValueId x) {
    constexpr int64_t kHead = kWidth / kHeads;
    const ValueId qkv = linear(path + ".qkv", x, kWidth, 3 * kWidth);
    const ValueId q = heads(path + ".q", qkv, 0, false), k = heads(path + ".k", qkv, 1, true),
                  v = heads(path + ".v", qkv, 2, false);
    const Dims scores = {kHeads, tokens_, tokens_};
    ValueId s = b_.op("MatMul", path + ".scores", {q, k}, scores);
    s = b_.op("Mul", path + ".scale", {s, b_.scalar(1.0F / std::sqrt(static_cast<float>(kHead)))}, scores);
    s = b_.op("Softmax", path + ".softmax", {s}, scores, {{"axis", int64_t{-1}}});
    ValueId y = b_.op("MatMul", path + ".mix", {s, v}, {kHeads, tokens_, kHead});
    y = b_.op("Transpose", path + ".join", {y}, {tokens_, kHeads, kHead},
              {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
    y = b_.op("Reshape", path + ".reshape", {y, b_.integers(path + ".shape", {0, tokens_, kWidth})},
              {tokens_, kWidth});
    return linear(path + ".proj", y, kWidth, kWidth);
  }

  Builder& b_;
  int64_t tokens_;
};

// [N, 3, size, size] to [N, patches, width].
ValueId patches(Builder& b, int64_t count) {
  b.manner.conv = kUniformFanIn;
  const ValueId x = b.input();
  const std::string path = "patch_embed.proj";
  const double bound = 1.0 / std::sqrt(static_cast<double>(b.channels(x) * kPatch * kPatch));
  const ValueId w = b.weight(path + ".weight", {kWidth, b.channels(x), kPatch, kPatch}, kUniformFanIn);
  const ValueId bias = b.weight(path + ".bias", {kWidth}, {Init::Kind::kUniform, bound});
  const int64_t side = b.options().size / kPatch;
  const ValueId maps = b.op(
      "Conv", path, {x, w, bias}, {kWidth, side, side},
      {{"kernel_shape", std::vector<int64_t>{kPatch, kPatch}}, {"strides", std::vector<int64_t>{kPatch, kPatch}}});
  const ValueId rows = b.op("Reshape", "patch_embed.reshape",
                            {maps, b.integers("patch_embed.shape", {0, kWidth, count})}, {kWidth, count});
  return b.op("Transpose", "patch_embed", {rows}, {count, kWidth}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
}

}  // namespace

void build_vit_tiny(Builder& b) {
  const int64_t side = b.options().size / kPatch, count = side * side, tokens = count + 1;
  const ValueId x = patches(b, count);
  const ValueId cls = b.weight("cls_token", {1, 1, kWidth}, {Init::Kind::kNormal, 1e-6});
  const ValueId positions = b.weight("pos_embed", {1, tokens, kWidth}, kTruncated);
  // The class token comes in front of the patches by padding both with zeros: no shape depends on the batch.
  const ValueId room =
      b.op("Pad", "tokens.pad", {x, b.integers("tokens.pads", {0, 1, 0, 0, 0, 0})}, {tokens, kWidth});
  const ValueId first = b.op("Pad", "cls_token.pad", {cls, b.integers("cls_token.pads", {0, 0, 0, 0, count, 0})}, {});
  b.unbatched(first, {1, tokens, kWidth});
  const ValueId offsets = b.op("Add", "pos_embed.add", {first, positions}, {});
  b.unbatched(offsets, {1, tokens, kWidth});
  ValueId y = b.op("Add", "tokens", {room, offsets}, {tokens, kWidth});
  Transformer transformer(b, tokens);
  for (int64_t i = 0; i < kBlocks; ++i) y = transformer.block("blocks." + std::to_string(i), y);
  y = transformer.norm("norm", y);
  const ValueId token = b.op("Gather", "token", {y, b.integer("token.index", 0)}, {kWidth}, {{"axis", int64_t{1}}});
  b.manner.linear = kTruncated;
  b.output(b.linear("head", token, b.options().classes), "output");
}

}  // namespace octet::zoo
