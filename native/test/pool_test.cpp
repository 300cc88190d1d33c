#include <limits>

#include "ops/ops.h"
#include "test/check.h"
#include "test/tensors.h"

using namespace sparring;
using namespace sparring::test;

namespace {

struct PoolCase {
  Shape shape;
  std::vector<int64_t> kernel, stride, padding;

  [[nodiscard]] Attributes attributes() const { return {{"kernel", kernel}, {"stride", stride}, {"padding", padding}}; }
  [[nodiscard]] int64_t out(int axis) const {
    return (shape[axis - 2] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1;
  }
  [[nodiscard]] Shape output() const { return shape.withoutLast(2).then({out(0), out(1)}); }
};

const std::vector<PoolCase> poolCases{
    {{2, 3, 24, 24}, {2, 2}, {2, 2}, {0, 0}}, {{2, 3, 7, 9}, {2, 2}, {2, 2}, {0, 0}},
    {{4, 5, 6}, {3, 2}, {1, 1}, {1, 1}},      {{1, 2, 11, 13}, {3, 3}, {2, 2}, {1, 1}},
    {{10, 17}, {4, 5}, {3, 4}, {2, 3}},       {{2, 1, 5, 5}, {5, 5}, {1, 1}, {0, 0}},
    {{3, 2, 2}, {3, 3}, {1, 1}, {2, 2}},      {{3, 9, 15}, {2, 1}, {2, 2}, {0, 0}},
    {{2, 6, 13}, {3, 4}, {1, 2}, {1, 0}},     {{2, 9, 30}, {1, 5}, {1, 3}, {0, 2}},
};

/** Calls visit(plane, output place, image place or -1) for all pixels of all windows. */
template <class Visit>
void eachPixel(const PoolCase& c, Visit visit) {
  const int64_t height = c.shape[-2];
  const int64_t width = c.shape[-1];
  for (int64_t plane = 0; plane < c.shape.product(0, c.shape.rank() - 2); plane++) {
    for (int64_t out = 0; out < c.out(0) * c.out(1); out++) {
      for (int64_t ky = 0; ky < c.kernel[0]; ky++) {
        for (int64_t kx = 0; kx < c.kernel[1]; kx++) {
          const int64_t y = out / c.out(1) * c.stride[0] - c.padding[0] + ky;
          const int64_t x = out % c.out(1) * c.stride[1] - c.padding[1] + kx;
          const bool inside = y >= 0 && y < height && x >= 0 && x < width;
          visit(plane, plane * c.out(0) * c.out(1) + out, inside ? y * width + x : -1);
        }
      }
    }
  }
}

}  // namespace

TEST(maxPoolFindsTheFirstLargestPixelOfEachWindow) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const PoolCase& c : poolCases) {
      // Few different values, so that there are many equals.
      const Tensor image = ops::one("round", {}, ops::affine(randomTensor(c.shape, dtype, 1), 3)).tensor();
      const std::vector<double> pixels = valuesOf(image);
      std::vector<double> best(static_cast<size_t>(c.output().size()), -std::numeric_limits<double>::infinity());
      std::vector<double> where(best.size());
      eachPixel(c, [&](int64_t plane, int64_t out, int64_t in) {
        if (in < 0) return;
        const double pixel = pixels[static_cast<size_t>(plane * c.shape[-2] * c.shape[-1] + in)];
        if (pixel <= best[static_cast<size_t>(out)]) return;
        best[static_cast<size_t>(out)] = pixel;
        where[static_cast<size_t>(out)] = static_cast<double>(in);
      });
      const Values result = call(findOp("maxPool2d"), {image}, c.attributes());
      CHECK(result[0].shape() == c.output());
      CHECK(result[1].shape() == c.output());
      CHECK(result[1].dtype() == DType::int32);
      CHECK(valuesOf(result[0].tensor()) == best);
      CHECK(valuesOf(result[1].tensor()) == where);
    }
  }
}

TEST(maxPoolKeepsWhatIsNoNumberAndNamesAPixelOfItsWindow) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float low = -std::numeric_limits<float>::infinity();
  // Few windows, and as many as are worked on at once.
  for (const int64_t repeats : {1, 4}) {
    std::vector<float> pixels;
    for (const auto& row : {std::vector<float>{1, nan, low, low}, std::vector<float>{5, 2, low, low}}) {
      for (int64_t i = 0; i < repeats; i++) pixels.insert(pixels.end(), row.begin(), row.end());
    }
    const Values result =
        call(findOp("maxPool2d"), {tensorOf({2, 4 * repeats}, pixels)}, {{"kernel", std::vector<int64_t>{2, 2}}});
    const std::vector<double> best = valuesOf(result[0].tensor());
    const std::vector<double> where = valuesOf(result[1].tensor());
    for (int64_t i = 0; i < repeats; i++) {
      const auto window = static_cast<size_t>(2 * i);
      CHECK(best[window] != best[window]);
      CHECK(best[window + 1] == low);
      CHECK(where[window] == static_cast<double>(4 * i + 1));
      CHECK(where[window + 1] == static_cast<double>(4 * i + 2));
    }
  }
}

TEST(averagePoolCountsPadding) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const PoolCase& c : poolCases) {
      const Tensor image = randomTensor(c.shape, dtype, 1);
      const std::vector<double> pixels = valuesOf(image);
      std::vector<double> means(static_cast<size_t>(c.output().size()));
      eachPixel(c, [&](int64_t plane, int64_t out, int64_t in) {
        if (in < 0) return;
        means[static_cast<size_t>(out)] += pixels[static_cast<size_t>(plane * c.shape[-2] * c.shape[-1] + in)] /
                                           static_cast<double>(c.kernel[0] * c.kernel[1]);
      });
      const Tensor result = ops::one("averagePool2d", c.attributes(), image).tensor();
      CHECK(result.shape() == c.output());
      CHECK(close(valuesOf(result), means, dtype == DType::float32 ? 1e-6 : 1e-14));
    }
  }
}

TEST(derivativesOfPools) {
  for (const PoolCase& c : poolCases) {
    // Far enough apart that no difference quotient changes which pixel is the largest.
    const Value image = ops::affine(randomTensor(c.shape, DType::float64, 1), 100).detached();
    CHECK(derivativesAgree("maxPool2d", c.attributes(), {image}));
    CHECK(derivativesAgree("averagePool2d", c.attributes(), {image}));
    Attributes back = c.attributes();
    back.set("inputSize", ops::asList(c.shape.last(2)));
    CHECK(derivativesAgree("averagePool2dGrad", back, {randomTensor(c.output(), DType::float64, 2)}));
  }
}

TEST(scatterAndGatherAreAdjointAndShareTheirIndex) {
  for (const PoolCase& c : poolCases) {
    const Tensor index =
        call(findOp("maxPool2d"), {randomTensor(c.shape, DType::float64, 1)}, c.attributes())[1].tensor();
    const Shape lead{2, 3};
    const Tensor ct = randomTensor(lead.then(c.output()), DType::float64, 2);
    const Tensor g = randomTensor(lead.then(c.shape), DType::float64, 3);
    const Attributes size{{"size", ops::asList(c.shape.last(2))}};
    const Tensor scattered = ops::one("scatterPlane", size, ct, index).tensor();
    const Tensor gathered = ops::one("gatherPlane", {}, g, index).tensor();
    CHECK(scattered.shape() == g.shape());
    CHECK(gathered.shape() == ct.shape());
    CHECK(std::abs(dot(scattered, g) - dot(ct, gathered)) < 1e-9);
    for (int64_t i = 0; i < lead.size(); i++) {
      const Tensor one = ops::one("scatterPlane", size, part(ct, i, c.output()), index).tensor();
      CHECK(sameBits(part(scattered, i, c.shape), one));
    }
  }
}

TEST(emptyBatchesArePooledToEmptyBatches) {
  const Tensor none = Tensor::allocate({{0, 3, 4, 4}, DType::float32});
  const Attributes attributes{{"kernel", std::vector<int64_t>{2, 2}}};
  const Values pooled = call(findOp("maxPool2d"), {none}, attributes);
  CHECK((pooled[0].shape() == Shape{0, 3, 2, 2}));
  const Attributes size{{"size", std::vector<int64_t>{4, 4}}};
  CHECK((ops::one("scatterPlane", size, pooled[0], pooled[1]).shape() == Shape{0, 3, 4, 4}));
  CHECK((ops::one("averagePool2d", attributes, none).shape() == Shape{0, 3, 2, 2}));
}

TEST(wrongPoolsAreRefused) {
  const auto refuse = [](const Value& image, const Attributes& attributes, ErrorCode code, const char* words) {
    for (const char* name : {"maxPool2d", "averagePool2d"}) CHECK_FAILS(ops::one(name, attributes, image), code, words);
  };
  const Value image = ops::full({3, 4, 5}, 0, DType::float32);
  const auto list = [](int64_t a, int64_t b) { return std::vector<int64_t>{a, b}; };
  refuse(image, {}, ErrorCode::invalidArgument, "kernel: expected a list of whole numbers, received nothing");
  refuse(image, {{"kernel", list(0, 2)}}, ErrorCode::invalidArgument, "kernel: expected at least 1, received 0");
  refuse(image, {{"kernel", list(5, 5)}}, ErrorCode::shapeMismatch, "kernel: expected at most 4 pixels in height");
  refuse(image, {{"kernel", list(2, 2)}, {"stride", list(1, 0)}}, ErrorCode::invalidArgument,
         "stride: expected at least 1");
  refuse(image, {{"kernel", list(2, 2)}, {"padding", list(2, 0)}}, ErrorCode::invalidArgument,
         "padding: expected less than the kernel's 2");
  refuse(ops::full({5}, 0, DType::float32), {{"kernel", list(2, 2)}}, ErrorCode::shapeMismatch,
         "expected [.., height, width]");
  refuse(ops::full({4, 4}, 0, DType::int32), {{"kernel", list(2, 2)}}, ErrorCode::dtypeMismatch, "received int32");
  const Value index = ops::full({3, 2, 2}, 0, DType::int32);
  const Attributes size{{"size", list(4, 5)}};
  CHECK_FAILS(ops::one("scatterPlane", size, ops::full({2, 2, 2}, 0, DType::float32), index), ErrorCode::shapeMismatch,
              "index: ");
  CHECK_FAILS(ops::one("gatherPlane", {}, ops::full({2, 4, 5}, 0, DType::float32), index), ErrorCode::shapeMismatch,
              "index: ");
  CHECK_FAILS(ops::one("gatherPlane", {}, image, ops::full({3, 2, 2}, 0, DType::float32)), ErrorCode::dtypeMismatch,
              "index: ");
  CHECK_FAILS(ops::one("averagePool2dGrad", {{"kernel", list(2, 2)}, {"inputSize", list(4, 4)}}, image),
              ErrorCode::shapeMismatch, "cotangent: expected [.., 2, 2]");
}
