#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/parallel.h"
#include "ops/conv_kernels.h"
#include "ops/conv_sparse.h"
#include "ops/ops.h"
#include "ops/winograd.h"
#include "test/check.h"
#include "test/tensors.h"

using namespace sparring;
using namespace sparring::test;

namespace {

struct Case2d {
  int64_t batch, channels, height, width, outputs;
  std::vector<int64_t> kernel, stride, padding, dilation;
  int64_t groups;

  [[nodiscard]] int64_t out(int axis) const {
    const int64_t size = axis == 0 ? height : width;
    return (size + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis] + 1;
  }
  [[nodiscard]] Shape image() const { return {batch, channels, height, width}; }
  [[nodiscard]] Shape weight() const { return {outputs, channels / groups, kernel[0], kernel[1]}; }
  [[nodiscard]] Shape output() const { return {batch, outputs, out(0), out(1)}; }
  [[nodiscard]] Attributes attributes() const {
    return {{"stride", stride}, {"padding", padding}, {"dilation", dilation}, {"groups", static_cast<double>(groups)}};
  }
  [[nodiscard]] Attributes forInput() const {
    Attributes result = attributes();
    result.set("inputSize", std::vector<int64_t>{height, width});
    return result;
  }
  [[nodiscard]] Attributes forWeight() const {
    Attributes result = attributes();
    result.set("kernelSize", kernel);
    return result;
  }
};

/** The three ops as one sum over its definition, in double: whichever of the three is the target takes the products. */
enum class Target { output, image, weight };
std::vector<double> naive(const Case2d& c, Target target, const std::vector<double>& a, const std::vector<double>& b) {
  const Shape of = target == Target::output ? c.output() : target == Target::image ? c.image() : c.weight();
  std::vector<double> result(static_cast<size_t>(of.size()));
  const int64_t perGroup = c.channels / c.groups;
  const int64_t oh = c.out(0);
  const int64_t ow = c.out(1);
  for (int64_t n = 0; n < c.batch; n++) {
    for (int64_t o = 0; o < c.outputs; o++) {
      for (int64_t y = 0; y < oh; y++) {
        for (int64_t x = 0; x < ow; x++) {
          for (int64_t k = 0; k < perGroup; k++) {
            for (int64_t ky = 0; ky < c.kernel[0]; ky++) {
              for (int64_t kx = 0; kx < c.kernel[1]; kx++) {
                const int64_t iy = y * c.stride[0] - c.padding[0] + ky * c.dilation[0];
                const int64_t ix = x * c.stride[1] - c.padding[1] + kx * c.dilation[1];
                if (iy < 0 || iy >= c.height || ix < 0 || ix >= c.width) continue;
                const int64_t channel = o / (c.outputs / c.groups) * perGroup + k;
                const auto image = static_cast<size_t>(((n * c.channels + channel) * c.height + iy) * c.width + ix);
                const auto weight = static_cast<size_t>(((o * perGroup + k) * c.kernel[0] + ky) * c.kernel[1] + kx);
                const auto out = static_cast<size_t>(((n * c.outputs + o) * oh + y) * ow + x);
                if (target == Target::output) result[out] += a[image] * b[weight];
                if (target == Target::image) result[image] += a[out] * b[weight];
                if (target == Target::weight) result[weight] += a[image] * b[out];
              }
            }
          }
        }
      }
    }
  }
  return result;
}

const std::vector<Case2d> cases2d{
    {2, 1, 28, 28, 20, {5, 5}, {1, 1}, {0, 0}, {1, 1}, 1},  // LeNet
    {3, 20, 12, 12, 50, {5, 5}, {1, 1}, {0, 0}, {1, 1}, 1},
    {2, 3, 9, 7, 5, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    {2, 3, 32, 32, 33, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    {5, 7, 13, 11, 6, {3, 2}, {2, 3}, {1, 0}, {1, 1}, 1},
    {1, 4, 10, 12, 6, {3, 3}, {1, 2}, {2, 3}, {2, 3}, 2},
    {3, 6, 8, 8, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 6},    // depthwise
    {4, 17, 5, 6, 19, {1, 1}, {1, 1}, {0, 0}, {1, 1}, 1},  // pointwise
    {2, 4, 7, 7, 3, {7, 7}, {1, 1}, {0, 0}, {1, 1}, 1},    // one output pixel
    {2, 2, 3, 3, 3, {5, 4}, {1, 1}, {3, 4}, {1, 1}, 1},    // a kernel larger than the image
    {2, 3, 1, 40, 7, {1, 9}, {1, 1}, {0, 4}, {1, 1}, 1},   // in effect one dimension
    {1, 8, 16, 16, 9, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 1},
    {2, 70, 9, 9, 65, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    {2, 12, 15, 17, 8, {4, 4}, {3, 2}, {1, 2}, {1, 2}, 4},
    {9, 1, 6, 5, 1, {3, 3}, {1, 1}, {0, 0}, {1, 1}, 1},
    // Rows so short that several images are worked on at once, the last of them fewer than the others.
    {15, 3, 6, 5, 4, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    {16, 4, 9, 9, 6, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 2},
    {23, 2, 4, 4, 3, {4, 4}, {1, 1}, {0, 0}, {1, 1}, 1},
    {31, 1, 7, 9, 3, {3, 5}, {1, 3}, {2, 2}, {2, 1}, 1},
    // Pixels to the right that no tap reaches, with and without images worked on together.
    {16, 2, 9, 9, 3, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 1},
    {2, 2, 17, 17, 3, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 1},
    // Planes whose size is a power of two.
    {5, 16, 16, 16, 18, {1, 1}, {1, 1}, {0, 0}, {1, 1}, 1},
    // Images and weights too large for the cache.
    {1, 48, 64, 48, 4, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    {1, 48, 65, 48, 4, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 1},
    {2, 300, 6, 9, 13, {5, 4}, {1, 1}, {0, 0}, {1, 1}, 1},
    // Winograd's, with tiles that reach beyond the image and without, several images in a block and several blocks.
    {7, 16, 9, 11, 17, {3, 3}, {1, 1}, {0, 1}, {1, 1}, 1},
    {5, 33, 6, 13, 16, {3, 3}, {1, 1}, {2, 2}, {1, 1}, 1},
    {2, 48, 24, 30, 40, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
};

ConvGeometry geometryOf(const Case2d& c) {
  const auto pair = [](const std::vector<int64_t>& list) { return std::array<int64_t, 2>{list[0], list[1]}; };
  return {.channels = c.channels,
          .height = c.height,
          .width = c.width,
          .outputs = c.outputs,
          .outHeight = c.out(0),
          .outWidth = c.out(1),
          .groups = c.groups,
          .kernel = pair(c.kernel),
          .stride = pair(c.stride),
          .padding = pair(c.padding),
          .dilation = pair(c.dilation)};
}

Tensor conv(const Case2d& c, const Tensor& image, const Tensor& weight) {
  return ops::one("conv2d", c.attributes(), image, weight).tensor();
}
Tensor inputGrad(const Case2d& c, const Tensor& ct, const Tensor& weight) {
  return ops::one("conv2dInputGrad", c.forInput(), ct, weight).tensor();
}
Tensor weightGrad(const Case2d& c, const Tensor& image, const Tensor& ct) {
  return ops::one("conv2dWeightGrad", c.forWeight(), image, ct).tensor();
}

}  // namespace

TEST(convolutionsAreTheSumsTheyAreDefinedAs) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const double tolerance = dtype == DType::float32 ? 5e-6 : 1e-14;
    for (const Case2d& c : cases2d) {
      const Tensor image = randomTensor(c.image(), dtype, 1);
      const Tensor weight = randomTensor(c.weight(), dtype, 2);
      const Tensor ct = randomTensor(c.output(), dtype, 3);
      const Tensor out = conv(c, image, weight);
      CHECK(out.shape() == c.output());
      CHECK(out.dtype() == dtype);
      CHECK(close(valuesOf(out), naive(c, Target::output, valuesOf(image), valuesOf(weight)), tolerance));
      CHECK(close(valuesOf(inputGrad(c, ct, weight)), naive(c, Target::image, valuesOf(ct), valuesOf(weight)),
                  tolerance));
      CHECK(close(valuesOf(weightGrad(c, image, ct)), naive(c, Target::weight, valuesOf(image), valuesOf(ct)),
                  tolerance));
    }
  }
}

/** Winograd's three passes and the direct ones, of all images and rows at once, for float32. */
template <class Pass>
Tensor outputOf(const Pass& pass, const Case2d& c, const Tensor& image, const Tensor& weight, const Tensor& bias) {
  std::vector<float> packed(static_cast<size_t>(pass.packedSize()));
  pass.pack(weight.data<float>(), packed.data());
  Tensor out = Tensor::allocate({c.output(), DType::float32});
  pass.run(image.data<float>(), c.batch, packed.data(), bias.data<float>(), out.data<float>(), {0, pass.rows()}, false);
  return out;
}
template <class Pass>
Tensor imageGradOf(const Pass& pass, const Case2d& c, const Tensor& ct, const Tensor& weight) {
  std::vector<float> packed(static_cast<size_t>(pass.packedSize()));
  pass.pack(weight.data<float>(), packed.data());
  Tensor image = Tensor::allocate({c.image(), DType::float32});
  pass.run(ct.data<float>(), c.batch, packed.data(), image.data<float>(), {0, pass.rows()});
  return image;
}
template <class Pass>
Tensor weightGradOf(const Pass& pass, const Case2d& c, const Tensor& image, const Tensor& ct) {
  Tensor weight = ops::full(c.weight(), 0, DType::float32).tensor();
  const int64_t half = c.outputs / 2;
  for (const RowRange outputs : {RowRange{0, half}, RowRange{half, c.outputs}}) {
    pass.run(image.data<float>(), ct.data<float>(), c.batch, outputs, weight.data<float>());
  }
  return weight;
}

TEST(winogradsKernelsOfEachInstructionSetGiveTheSums) {
  std::vector<Case2d> cases;
  for (const int64_t padding : {0, 1, 2}) {
    for (const auto& [channels, outputs] : std::vector<std::array<int64_t, 2>>{{1, 1}, {3, 18}, {17, 5}, {35, 33}}) {
      for (const auto& [height, width] : std::vector<std::array<int64_t, 2>>{{3, 4}, {7, 10}, {13, 5}, {8, 18}}) {
        cases.push_back(
            {3, channels, height, width, outputs, {3, 3}, {1, 1}, {padding, (padding + height) % 3}, {1, 1}, 1});
      }
    }
  }
  for (const WinogradKernels* kernels : winogradKernels()) {
    for (const Case2d& c : cases) {
      const ConvGeometry g = geometryOf(c);
      const Tensor image = randomTensor(c.image(), DType::float32, 1);
      const Tensor weight = randomTensor(c.weight(), DType::float32, 2);
      const Tensor ct = randomTensor(c.output(), DType::float32, 3);
      const Tensor none = ops::full({c.outputs}, 0, DType::float32).tensor();
      CHECK(close(valuesOf(outputOf(WinogradForward(g, *kernels), c, image, weight, none)),
                  naive(c, Target::output, valuesOf(image), valuesOf(weight)), 5e-6));
      CHECK(close(valuesOf(imageGradOf(WinogradBackward(g, *kernels), c, ct, weight)),
                  naive(c, Target::image, valuesOf(ct), valuesOf(weight)), 5e-6));
      CHECK(close(valuesOf(weightGradOf(WinogradCorrelation(g, *kernels), c, image, ct)),
                  naive(c, Target::weight, valuesOf(image), valuesOf(ct)), 5e-6));
    }
  }
}

/** Its points are chosen for this: with 1 and 2 the error is four times the direct one's. */
TEST(winogradsErrorIsNearThatOfTheDirectSum) {
  const Case2d c{1, 64, 16, 16, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1};
  const ConvGeometry g = geometryOf(c);
  const Tensor image = randomTensor(c.image(), DType::float32, 1);
  const Tensor weight = randomTensor(c.weight(), DType::float32, 2);
  const Tensor none = ops::full({c.outputs}, 0, DType::float32).tensor();
  const std::vector<double> expected = naive(c, Target::output, valuesOf(image), valuesOf(weight));
  const auto error = [&](const Tensor& out) {
    const std::vector<double> values = valuesOf(out);
    double sum = 0;
    for (size_t i = 0; i < values.size(); i++) sum += (values[i] - expected[i]) * (values[i] - expected[i]);
    return std::sqrt(sum);
  };
  const double direct = error(outputOf(ConvForward<float>(g, 1), c, image, weight, none));
  CHECK(error(outputOf(WinogradForward(g), c, image, weight, none)) < 2.5 * direct);
}

TEST(winogradIsForManyChannelsAndPixelsOnly) {
  const Case2d suits{1, 16, 6, 6, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1};
  CHECK(winogradSuits(geometryOf(suits)));
  const auto refuses = [&](const auto& change) {
    Case2d c = suits;
    change(c);
    CHECK(!winogradSuits(geometryOf(c)));
  };
  refuses([](Case2d& c) { c.channels = 15; });
  refuses([](Case2d& c) { c.outputs = 15; });
  refuses([](Case2d& c) { c.height = 5; });
  refuses([](Case2d& c) { c.height = c.width = 4; });
  refuses([](Case2d& c) { c.height = 1, c.width = 64; });
  refuses([](Case2d& c) { c.kernel = {3, 5}; });
  refuses([](Case2d& c) { c.kernel = {5, 3}; });
  refuses([](Case2d& c) { c.stride = {1, 2}, c.width = 16; });
  refuses([](Case2d& c) { c.dilation = {2, 1}, c.height = 16; });
  refuses([](Case2d& c) { c.padding = {3, 1}; });
  refuses([](Case2d& c) { c.groups = 2, c.channels = c.outputs = 32; });
}

TEST(aBiasIsAddedToEachPixelOfItsChannel) {
  for (const Case2d& c : cases2d) {
    const Tensor image = randomTensor(c.image(), DType::float32, 1);
    const Tensor weight = randomTensor(c.weight(), DType::float32, 2);
    const Tensor bias = randomTensor({c.outputs}, DType::float32, 3);
    std::vector<double> expected = naive(c, Target::output, valuesOf(image), valuesOf(weight));
    const int64_t pixels = c.out(0) * c.out(1);
    for (size_t i = 0; i < expected.size(); i++) {
      expected[i] += valuesOf(bias)[static_cast<size_t>(static_cast<int64_t>(i) / pixels % c.outputs)];
    }
    CHECK(close(valuesOf(ops::one("conv2d", c.attributes(), image, weight, bias).tensor()), expected, 5e-6));
  }
}

TEST(anExampleDoesNotDependOnBatchSizeOrThreads) {
  const int threads = threadCount();
  for (const Case2d& c : cases2d) {
    Case2d one = c;
    one.batch = 1;
    const Tensor image = randomTensor(c.image(), DType::float32, 1);
    const Tensor weight = randomTensor(c.weight(), DType::float32, 2);
    const Tensor ct = randomTensor(c.output(), DType::float32, 3);
    setThreadCount(3);
    const Tensor out = conv(c, image, weight);
    const Tensor back = inputGrad(c, ct, weight);
    setThreadCount(1);
    for (int64_t i = 0; i < c.batch; i++) {
      CHECK(sameBits(conv(one, part(image, i, one.image()), weight), part(out, i, one.output())));
      CHECK(sameBits(inputGrad(one, part(ct, i, one.output()), weight), part(back, i, one.image())));
    }
    setThreadCount(threads);
  }
}

namespace {

/** The same, but with only about a tenth of the numbers of every image but the second, as behind relu and pooling. */
Tensor withZeros(const Tensor& cotangent) {
  Tensor result = randomTensor(cotangent.shape(), cotangent.dtype(), 0);
  const int64_t size = cotangent.size() / cotangent.shape()[0];
  dispatchFloat(cotangent.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < cotangent.size(); i++) {
      const bool kept = i / size == 1 || unit(philox({static_cast<uint32_t>(i), 0, 0, 0}, {77, 0})[0]) < 0.1F;
      result.data<T>()[i] = kept ? cotangent.data<T>()[i] : T{0};
    }
  });
  return result;
}

const std::vector<Case2d> sparseCases{
    {3, 20, 12, 12, 50, {5, 5}, {1, 1}, {0, 0}, {1, 1}, 1},  // LeNet
    {3, 1, 9, 40, 9, {8, 37}, {1, 1}, {1, 3}, {1, 1}, 1},   {4, 17, 9, 8, 8, {5, 4}, {2, 3}, {2, 1}, {1, 1}, 1},
    {3, 43, 7, 6, 8, {3, 2}, {1, 2}, {0, 0}, {3, 1}, 1},    {3, 260, 5, 4, 9, {1, 1}, {1, 1}, {2, 1}, {1, 1}, 1},
    {3, 60, 4, 4, 16, {4, 4}, {1, 1}, {3, 3}, {1, 1}, 1},   {3, 21, 7, 8, 9, {5, 3}, {1, 1}, {0, 1}, {1, 1}, 1},
};

}  // namespace

TEST(cotangentsThatAreMostlyZerosGiveTheSameSums) {
  const int threads = threadCount();
  for (const DType dtype : {DType::float32, DType::float64}) {
    const double tolerance = dtype == DType::float32 ? 5e-6 : 1e-14;
    for (const Case2d& c : sparseCases) {
      CHECK(sparseSuits(geometryOf(c)));
      const Tensor image = randomTensor(c.image(), dtype, 1);
      const Tensor weight = randomTensor(c.weight(), dtype, 2);
      const Tensor ct = withZeros(randomTensor(c.output(), dtype, 3));
      const std::vector<double> images = naive(c, Target::image, valuesOf(ct), valuesOf(weight));
      const std::vector<double> weights = naive(c, Target::weight, valuesOf(image), valuesOf(ct));
      const Tensor all = inputGrad(c, ct, weight);
      Case2d one = c;
      one.batch = 1;
      for (const int count : {1, 2, 3, 7}) {
        setThreadCount(count);
        CHECK(close(valuesOf(inputGrad(c, ct, weight)), images, tolerance));
        CHECK(close(valuesOf(weightGrad(c, image, ct)), weights, tolerance));
        for (int64_t i = 0; i < c.batch; i++) {
          CHECK(sameBits(inputGrad(one, part(ct, i, one.output()), weight), part(all, i, one.image())));
        }
      }
    }
  }
  setThreadCount(threads);
}

TEST(zerosAreLeftOutWhereTheyAreMany) {
  const Case2d& c = sparseCases[0];
  const Tensor weight = randomTensor(c.weight(), DType::float32, 2);
  const Tensor ct = withZeros(randomTensor(c.output(), DType::float32, 3));
  const int64_t size = c.output().size() / c.batch;
  CHECK(isSparse(ct.data<float>(), size));
  CHECK(!isSparse(ct.data<float>() + size, size));
  const auto refuses = [](const auto& change) {
    Case2d other = sparseCases[0];
    change(other);
    CHECK(!sparseSuits(geometryOf(other)));
  };
  refuses([](Case2d& other) { other.channels = 6; });
  refuses([](Case2d& other) { other.channels = 40, other.kernel = {6, 1}; });
  refuses([](Case2d& other) { other.outputs = 7; });
  refuses([](Case2d& other) { other.groups = 2; });
  refuses([](Case2d& other) { other.dilation = {1, 2}; });
  refuses([](Case2d& other) { other.height = other.width = 120; });
}

TEST(aWeightGradientIsTheSameRunAfterRun) {
  const Case2d& c = cases2d[1];
  const Tensor image = randomTensor(c.image(), DType::float32, 1);
  const Tensor ct = randomTensor(c.output(), DType::float32, 2);
  const Tensor first = weightGrad(c, image, ct);
  for (int i = 0; i < 3; i++) CHECK(sameBits(weightGrad(c, image, ct), first));
}

TEST(axesInFrontBroadcast) {
  const int threads = threadCount();
  setThreadCount(2);
  for (const Case2d& c : cases2d) {
    for (const auto& [imageLead, weightLead, lead] : std::vector<std::array<Shape, 3>>{
             {Shape{2}, Shape{}, Shape{2}},
             {Shape{}, Shape{3}, Shape{3}},
             {Shape{2}, Shape{2}, Shape{2}},
             {Shape{2, 1}, Shape{3}, Shape{2, 3}},
             {Shape{1, 3}, Shape{2, 1}, Shape{2, 3}},
         }) {
      const Tensor image = randomTensor(imageLead.then(c.image()), DType::float32, 1);
      const Tensor weight = randomTensor(weightLead.then(c.weight()), DType::float32, 2);
      const Tensor ct = randomTensor(imageLead.then(c.output()), DType::float32, 3);
      const Tensor shared = randomTensor(weightLead.then(c.output()), DType::float32, 4);
      const Tensor out = conv(c, image, weight);
      const Tensor back = inputGrad(c, ct, weight);
      const Tensor weights = weightGrad(c, image, shared);
      CHECK(out.shape() == lead.then(c.output()));
      CHECK(back.shape() == lead.then(c.image()));
      CHECK(weights.shape() == lead.then(c.weight()));
      for (int64_t i = 0; i < lead.size(); i++) {
        const int64_t a = broadcastIndex(i, lead, imageLead);
        const int64_t b = broadcastIndex(i, lead, weightLead);
        const Tensor oneImage = part(image, a, c.image());
        const Tensor oneWeight = part(weight, b, c.weight());
        CHECK(sameBits(part(out, i, c.output()), conv(c, oneImage, oneWeight)));
        CHECK(sameBits(part(back, i, c.image()), inputGrad(c, part(ct, a, c.output()), oneWeight)));
        CHECK(sameBits(part(weights, i, c.weight()), weightGrad(c, oneImage, part(shared, b, c.output()))));
      }
    }
  }
  setThreadCount(threads);
}

TEST(biasesHaveAxesInFrontToo) {
  const Case2d& c = cases2d[2];
  const Tensor image = randomTensor(c.image(), DType::float32, 1);
  const Tensor weight = randomTensor(Shape{2}.then(c.weight()), DType::float32, 2);
  const Tensor bias = randomTensor({2, c.outputs}, DType::float32, 3);
  const Tensor out = ops::one("conv2d", c.attributes(), image, weight, bias).tensor();
  for (int64_t i = 0; i < 2; i++) {
    CHECK(sameBits(
        part(out, i, c.output()),
        ops::one("conv2d", c.attributes(), image, part(weight, i, c.weight()), part(bias, i, {c.outputs})).tensor()));
  }
}

TEST(anEmptyBatchGivesAnEmptyOutputAndAZeroGradient) {
  Case2d c = cases2d[2];
  c.batch = 0;
  const Tensor image = Tensor::allocate({c.image(), DType::float32});
  const Tensor weight = randomTensor(c.weight(), DType::float32, 2);
  const Tensor ct = conv(c, image, weight);
  CHECK(ct.shape() == c.output());
  CHECK(inputGrad(c, ct, weight).shape() == c.image());
  for (const double value : valuesOf(weightGrad(c, image, ct))) CHECK(value == 0);
}

/** Each op's rule, twice over, against differences of a scalar of its output; see checkDerivatives. */
TEST(derivativesOfEveryOrderAreConvolutions) {
  for (const size_t index : {2, 4, 5, 6}) {
    const Case2d& c = cases2d[index];
    const Value image = randomTensor(c.image(), DType::float64, 1);
    const Value weight = randomTensor(c.weight(), DType::float64, 2);
    const Value bias = randomTensor({c.outputs}, DType::float64, 3);
    const Value ct = randomTensor(c.output(), DType::float64, 4);
    CHECK(derivativesAgree("conv2d", c.attributes(), {image, weight, bias}));
    CHECK(derivativesAgree("conv2dInputGrad", c.forInput(), {ct, weight}));
    CHECK(derivativesAgree("conv2dWeightGrad", c.forWeight(), {image, ct}));
  }
}

TEST(derivativesOfBroadcastOperandsAreSummed) {
  const Case2d& c = cases2d[2];
  const Value image = randomTensor(c.image(), DType::float64, 1);
  const Value images = randomTensor(Shape{2, 1}.then(c.image()), DType::float64, 2);
  const Value weight = randomTensor(c.weight(), DType::float64, 3);
  const Value weights = randomTensor(Shape{3}.then(c.weight()), DType::float64, 4);
  const Value ct = randomTensor(c.output(), DType::float64, 5);
  const Value cts = randomTensor(Shape{3}.then(c.output()), DType::float64, 6);
  const Value bias = randomTensor({c.outputs}, DType::float64, 7);
  CHECK(derivativesAgree("conv2d", c.attributes(), {image, weights, bias}));
  CHECK(derivativesAgree("conv2d", c.attributes(), {images, weight, bias}));
  CHECK(derivativesAgree("conv2d", c.attributes(), {images, weights, bias}));
  CHECK(derivativesAgree("conv2dInputGrad", c.forInput(), {cts, weight}));
  CHECK(derivativesAgree("conv2dInputGrad", c.forInput(), {ct, weights}));
  CHECK(derivativesAgree("conv2dWeightGrad", c.forWeight(), {image, cts}));
  CHECK(derivativesAgree("conv2dWeightGrad", c.forWeight(), {images, ct}));
  CHECK(derivativesAgree("conv2dWeightGrad", c.forWeight(), {images, cts}));
}

TEST(wrongConvolutionsAreRefused) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::float32) { return ops::full(shape, 0, dtype); };
  const auto refuse = [&](const Shape& image, const Shape& weight, const Attributes& attributes, ErrorCode code,
                          const char* words) {
    CHECK_FAILS(ops::one("conv2d", attributes, zeros(image), zeros(weight)), code, words);
  };
  const Shape image{2, 3, 8, 8};
  const Shape weight{4, 3, 3, 3};
  refuse({3, 8, 8}, weight, {}, ErrorCode::shapeMismatch, "conv2d: input: expected [batch, channels, height, width]");
  refuse(image, {3, 3, 3}, {}, ErrorCode::shapeMismatch,
         "weight: expected [outputs, channels / groups, height, width]");
  refuse({2, 0, 8, 8}, {4, 0, 3, 3}, {}, ErrorCode::shapeMismatch, "input: expected at least one channel");
  refuse(image, {4, 2, 3, 3}, {}, ErrorCode::shapeMismatch, "weight: expected 3 input channels, received 2");
  refuse(image, {4, 3, 9, 3}, {}, ErrorCode::shapeMismatch, "expected a kernel of 1 to 8 pixels in height");
  refuse(image, {4, 3, 3, 0}, {}, ErrorCode::shapeMismatch, "expected a kernel of 1 to 8 pixels in width");
  refuse(image, weight, {{"dilation", std::vector<int64_t>{1, 4}}}, ErrorCode::shapeMismatch, "with dilation 4");
  refuse(image, weight, {{"stride", std::vector<int64_t>{0, 1}}}, ErrorCode::invalidArgument,
         "stride: expected at least 1, received 0");
  refuse(image, weight, {{"dilation", std::vector<int64_t>{1, 0}}}, ErrorCode::invalidArgument,
         "dilation: expected at least 1, received 0");
  refuse(image, weight, {{"padding", std::vector<int64_t>{-1, 0}}}, ErrorCode::invalidArgument,
         "padding: expected at least 0, received -1");
  refuse(image, weight, {{"stride", std::vector<int64_t>{1}}}, ErrorCode::invalidArgument,
         "stride: expected 2 numbers, received 1");
  refuse(image, weight, {{"groups", 2.0}}, ErrorCode::invalidArgument,
         "groups: expected a divisor of 3 input and 4 output channels, received 2");
  refuse(image, weight, {{"groups", 0.0}}, ErrorCode::invalidArgument, "groups: expected a divisor");
  refuse({3, 2, 3, 8, 8}, {2, 4, 3, 3, 3}, {}, ErrorCode::shapeMismatch, "");
  CHECK_FAILS(ops::one("conv2d", {}, zeros(image), zeros(weight, DType::float64)), ErrorCode::dtypeMismatch,
              "expected tensors of one dtype, received float32 and float64");
  CHECK_FAILS(ops::one("conv2d", {}, zeros(image, DType::uint8), zeros(weight, DType::uint8)), ErrorCode::dtypeMismatch,
              "expected float32 or float64, received uint8");
  CHECK_FAILS(ops::one("conv2d", {}, zeros(image), zeros(weight), zeros({5})), ErrorCode::shapeMismatch,
              "bias: expected [4]");
  const Attributes size{{"inputSize", std::vector<int64_t>{8, 8}}};
  CHECK_FAILS(ops::one("conv2dInputGrad", size, zeros({2, 4, 5, 6}), zeros(weight)), ErrorCode::shapeMismatch,
              "cotangent: expected [.., 4, 6, 6]");
  CHECK_FAILS(ops::one("conv2dInputGrad", size, zeros({2, 5, 6, 6}), zeros(weight)), ErrorCode::shapeMismatch,
              "cotangent: expected [.., 4, 6, 6]");
  const Attributes kernel{{"kernelSize", std::vector<int64_t>{3, 3}}};
  CHECK_FAILS(ops::one("conv2dWeightGrad", kernel, zeros(image), zeros({3, 4, 6, 6})), ErrorCode::shapeMismatch,
              "cotangent: expected a batch of 2");
  CHECK_FAILS(ops::one("conv2dWeightGrad", kernel, zeros(image), zeros({2, 4, 6, 7})), ErrorCode::shapeMismatch,
              "cotangent: expected [.., 4, 6, 6]");
}

namespace {

/** How far a kernel is at most from the sums that it is defined as, in double. */
template <class T>
double differenceOfProducts(const Kernels<T>& kernels, int rows, int vectors, bool started) {
  constexpr int64_t length = 3;
  const int64_t width = vectors * kernels.lanes;
  const int64_t step = width + 5;
  const std::vector<Run> runs{{1, 0}, {2, length * 1}};
  const std::vector<int64_t> steps{0, 2 * step, step};
  // The last vector lies in front of the others.
  std::vector<Column> columns;
  for (int v = 0; v < vectors; v++) {
    const int64_t place = (v + 1) % vectors * kernels.lanes;
    columns.push_back({place, place});
  }
  const auto random = [](int64_t size, uint32_t seed) {
    const DType dtype = sizeof(T) == 4 ? DType::float32 : DType::float64;
    return randomTensor({size}, dtype, seed);
  };
  const Tensor source = random(length * step + 2, 1);
  const Tensor weights = random(2 * length * rows, 2);
  const Tensor start = random(rows, 3);
  const Tensor out = random(rows * width, 4);
  std::vector<int64_t> places;
  std::vector<double> expected = valuesOf(out);
  for (int r = 0; r < rows; r++) {
    places.push_back(r * width);
    for (int64_t x = 0; x < width; x++) {
      double sum = started ? static_cast<double>(start.data<T>()[r]) : expected[static_cast<size_t>(r * width + x)];
      for (const Run& run : runs) {
        for (int64_t term = 0; term < length; term++) {
          sum += static_cast<double>(weights.data<T>()[(run.first + term) * rows + r]) *
                 static_cast<double>(source.data<T>()[run.source + steps[static_cast<size_t>(term)] + x]);
        }
      }
      expected[static_cast<size_t>(r * width + x)] = sum;
    }
  }
  kernels.product[static_cast<size_t>(rows - 1)][static_cast<size_t>(vectors - 1)](
      {.source = source.data<T>(),
       .runs = runs.data(),
       .runCount = 2,
       .length = length,
       .steps = steps.data(),
       .weights = weights.data<T>(),
       .out = out.data<T>(),
       .places = places.data(),
       .columns = columns.data(),
       .start = started ? start.data<T>() : nullptr,
       .relu = false});
  double difference = 0;
  for (size_t i = 0; i < expected.size(); i++)
    difference = std::max(difference, std::abs(valuesOf(out)[i] - expected[i]));
  return difference;
}

template <class T>
double differenceOfCorrelations(const Kernels<T>& kernels, int rows, int taps) {
  const int64_t lanes = kernels.lanes;
  const std::vector<Step> steps{{0, 1}, {lanes, lanes + 2}, {3 * lanes, 2 * lanes}};
  const DType dtype = sizeof(T) == 4 ? DType::float32 : DType::float64;
  const Tensor cotangent = randomTensor({rows, 4 * lanes}, dtype, 1);
  const Tensor source = randomTensor({4 * lanes + taps}, dtype, 2);
  const Tensor sums = randomTensor({rows, taps}, dtype, 3);
  std::vector<double> expected = valuesOf(sums);
  std::vector<int64_t> tapSources;
  std::vector<int64_t> places;
  for (int t = 0; t < taps; t++) {
    tapSources.push_back(t);
    places.push_back(taps - 1 - t);
  }
  for (int r = 0; r < rows; r++) {
    for (int t = 0; t < taps; t++) {
      for (const Step& step : steps) {
        for (int64_t lane = 0; lane < lanes; lane++) {
          expected[static_cast<size_t>(r * taps + taps - 1 - t)] +=
              static_cast<double>(cotangent.data<T>()[r * 4 * lanes + step.cotangent + lane]) *
              static_cast<double>(source.data<T>()[step.source + t + lane]);
        }
      }
    }
  }
  kernels.correlation[static_cast<size_t>(rows - 1)][static_cast<size_t>(taps - 1)]({.cotangent = cotangent.data<T>(),
                                                                                     .cotangentStep = 4 * lanes,
                                                                                     .source = source.data<T>(),
                                                                                     .taps = tapSources.data(),
                                                                                     .steps = steps.data(),
                                                                                     .stepCount = 3,
                                                                                     .sums = sums.data<T>(),
                                                                                     .sumsStep = taps,
                                                                                     .places = places.data()});
  double difference = 0;
  for (size_t i = 0; i < expected.size(); i++)
    difference = std::max(difference, std::abs(valuesOf(sums)[i] - expected[i]));
  return difference;
}

template <class T>
double differenceOfRunSums(const Kernels<T>& kernels, int64_t length) {
  const DType dtype = sizeof(T) == 4 ? DType::float32 : DType::float64;
  const std::vector<int64_t> places{5, 0, 3};
  const Tensor factors = randomTensor({3}, dtype, 1);
  const Tensor source = randomTensor({length + 5}, dtype, 2);
  const Tensor to = randomTensor({length + 1}, dtype, 3);
  std::vector<double> expected = valuesOf(to);
  for (size_t k = 0; k < places.size(); k++) {
    for (int64_t i = 0; i < length; i++) {
      expected[static_cast<size_t>(i)] +=
          static_cast<double>(factors.data<T>()[k]) * static_cast<double>(source.data<T>()[places[k] + i]);
    }
  }
  kernels.runSum[static_cast<size_t>((length - 1) / kernels.lanes)]({.factors = factors.data<T>(),
                                                                     .places = places.data(),
                                                                     .count = 3,
                                                                     .source = source.data<T>(),
                                                                     .to = to.data<T>(),
                                                                     .length = length});
  double difference = 0;
  for (size_t i = 0; i < expected.size(); i++)
    difference = std::max(difference, std::abs(valuesOf(to)[i] - expected[i]));
  return difference;
}

template <class T>
void checkKernels(double tolerance) {
  for (const Kernels<T>* kernels : kernelsOfMachine<T>()) {
    for (int rows = 1; rows <= Kernels<T>::mostRows; rows++) {
      for (int vectors = 1; vectors <= Kernels<T>::mostVectors; vectors++) {
        if (rows * vectors > kernels->sums) continue;
        for (const bool started : {false, true}) {
          CHECK(differenceOfProducts(*kernels, rows, vectors, started) < tolerance);
        }
      }
    }
    for (int rows = 1; rows <= Kernels<T>::mostOutputs; rows++) {
      for (int taps = 1; taps <= Kernels<T>::mostTaps; taps++) {
        if (rows * taps > kernels->sums) continue;
        CHECK(differenceOfCorrelations(*kernels, rows, taps) < tolerance);
      }
    }
    for (int64_t length = kernels->lanes; length <= Kernels<T>::mostRun * kernels->lanes; length++) {
      CHECK(differenceOfRunSums(*kernels, length) < tolerance);
    }
  }
}

}  // namespace

TEST(theKernelsOfAllInstructionSetsGiveTheSumsTheyAreDefinedAs) {
  checkKernels<float>(5e-6);
  checkKernels<double>(1e-14);
}
