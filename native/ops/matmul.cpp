/** Matrix products: plain, transposed, batched, and the dense layer's. */
#include "core/gemm.h"
#include "core/parallel.h"
#include "ops/ops.h"

namespace sparring {

namespace {

/** What a product of two stacks of matrices is made of. */
struct Product {
  bool transposeA;
  bool transposeB;
  Shape batchA;
  Shape batchB;
  Shape batch;
  int64_t m, n, k;

  Product(const Shape& a, const Shape& b, bool flipA, bool flipB) : transposeA(flipA), transposeB(flipB) {
    if (a.rank() < 2 || b.rank() < 2) {
      fail(ErrorCode::shapeMismatch, "expected two matrices or stacks of them, received shapes ", a, " and ", b);
    }
    batchA = a.withoutLast(2);
    batchB = b.withoutLast(2);
    batch = broadcast(batchA, batchB);
    m = transposeA ? a[-1] : a[-2];
    k = transposeA ? a[-2] : a[-1];
    n = transposeB ? b[-2] : b[-1];
    const int64_t inner = transposeB ? b[-1] : b[-2];
    if (k != inner) {
      fail(ErrorCode::shapeMismatch, "inner lengths differ: ", k, " and ", inner, " (a ", a,
           transposeA ? " transposed" : "", ", b ", b, transposeB ? " transposed" : "", ")");
    }
  }
};

Product productOf(Tensors in, const Attributes& attributes) {
  return {in[0].shape(), in[1].shape(), attributes.flag("transposeA"), attributes.flag("transposeB")};
}

/** Which matrix of a stack stands at a place of the broadcast stack. */
int64_t matrixAt(const Shape& stack, const Shape& batch, int64_t index) {
  int64_t at = 0;
  int64_t stride = 1;
  for (int back = 1; back <= batch.rank(); back++) {
    const int64_t place = index % batch[-back];
    index /= batch[-back];
    if (back > stack.rank()) continue;
    if (stack[-back] != 1) at += place * stride;
    stride *= stack[-back];
  }
  return at;
}

template <class T>
void multiply(const Product& p, const T* a, const T* b, T* c) {
  const int64_t strideA = p.transposeA ? p.m : p.k;
  const int64_t strideB = p.transposeB ? p.k : p.n;
  if (p.batchB.size() == 1 && !p.transposeA) {
    // One matrix for the whole stack: the stack is a taller matrix.
    gemm<T>(p.batchA.size() * p.m, p.n, p.k, {a, strideA}, {b, strideB, p.transposeB}, nullptr, c, p.n);
    return;
  }
  const int64_t count = p.batch.size();
  const auto one = [&](int64_t index, auto product) {
    product(p.m, p.n, p.k, Matrix<T>{a + matrixAt(p.batchA, p.batch, index) * p.m * p.k, strideA, p.transposeA},
            Matrix<T>{b + matrixAt(p.batchB, p.batch, index) * p.k * p.n, strideB, p.transposeB}, nullptr,
            c + index * p.m * p.n, p.n);
  };
  if (count < threadCount()) {
    for (int64_t index = 0; index < count; index++) one(index, gemm<T>);
  } else {
    parallelFor(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; index++) one(index, gemmSerial<T>);
    });
  }
}

void checkDtypes(Tensors in) {
  for (const Tensor& tensor : in) {
    dispatchFloat(tensor.dtype(), [](auto) {});
    if (tensor.dtype() != in[0].dtype()) {
      fail(ErrorCode::dtypeMismatch, "expected tensors of one dtype, received ", dtypeName(in[0].dtype()), " and ",
           dtypeName(tensor.dtype()));
    }
  }
}

/** A stack of matrices as one tall matrix. */
Value tall(const Value& stack, const Shape& lead = {}) {
  const Shape& shape = stack.shape();
  const int64_t rows = shape.product(lead.rank(), shape.rank() - 1);
  return ops::reshape(stack, lead.then({rows, shape[-1]}));
}

/** The cotangent of b in a·b where b is one matrix and a a stack: a single product, with the stack as its inner axis. */
bool summedOverStack(Vjp& vjp) {
  return vjp.inputType(1).shape.rank() == 2 && vjp.inputType(0).shape.rank() > 2 &&
         !vjp.attributes().flag("transposeA");
}

const Registration matmul_({.name = "matmul",
                            .leastInputs = 2,
                            .mostInputs = 2,
                            .infer =
                                [](Tensors in, const Attributes& attributes) {
                                  checkDtypes(in);
                                  const Product p = productOf(in, attributes);
                                  return Types{{p.batch.then({p.m, p.n}), in[0].dtype()}};
                                },
                            .run =
                                [](Tensors in, Tensors out, const Attributes& attributes) {
                                  const Product p = productOf(in, attributes);
                                  dispatchFloat(in[0].dtype(), [&](auto zero) {
                                    using T = decltype(zero);
                                    multiply<T>(p, in[0].data<T>(), in[1].data<T>(), out[0].data<T>());
                                  });
                                },
                            .differentiate =
                                [](Vjp& vjp) {
                                  const bool transposeA = vjp.attributes().flag("transposeA");
                                  const bool transposeB = vjp.attributes().flag("transposeB");
                                  const Value ct = vjp.cotangent();
                                  if (vjp.needs(0)) {
                                    const Value b = vjp.input(1);
                                    vjp.giveBroadcast(0, transposeA ? ops::matmul(b, ct, transposeB, true)
                                                                    : ops::matmul(ct, b, false, !transposeB));
                                  }
                                  if (vjp.needs(1)) {
                                    const bool stack = summedOverStack(vjp);
                                    const Value a = stack ? tall(vjp.input(0)) : vjp.input(0);
                                    const Value c = stack ? tall(ct, vjp.lead()) : ct;
                                    vjp.giveBroadcast(1, transposeB ? ops::matmul(c, a, true, transposeA)
                                                                    : ops::matmul(a, c, !transposeA, false));
                                  }
                                },
                            .readsInputs = bit(0) | bit(1),
                            .flops =
                                [](Tensors in, Tensors, const Attributes& attributes) {
                                  const Product p = productOf(in, attributes);
                                  return 2.0 * static_cast<double>(p.batch.size() * p.m * p.n * p.k);
                                }});

/** x [..., in] by weight [out, in], plus bias [out] where there is one: the dense layer, weights laid out as PyTorch's. */
const Registration linear_(
    {.name = "linear",
     .leastInputs = 2,
     .mostInputs = 3,
     .infer =
         [](Tensors in, const Attributes&) {
           checkDtypes(in);
           const Shape& x = in[0].shape();
           const Shape& weight = in[1].shape();
           if (weight.rank() != 2) fail(ErrorCode::shapeMismatch, "weight expects shape [out,in], received ", weight);
           if (x.rank() < 1 || x[-1] != weight[1]) {
             fail(ErrorCode::shapeMismatch, "weight expects ", weight[1], " inputs, received ",
                  x.rank() < 1 ? 0 : x[-1], " (input ", x, ", weight ", weight, ")");
           }
           if (in.size() == 3 && !(in[2].shape() == Shape{weight[0]})) {
             fail(ErrorCode::shapeMismatch, "bias expects shape [", weight[0], "], received ", in[2].shape());
           }
           return Types{{x.withoutLast(1).then({weight[0]}), in[0].dtype()}};
         },
     .run =
         [](Tensors in, Tensors out, const Attributes&) {
           dispatchFloat(in[0].dtype(), [&](auto zero) {
             using T = decltype(zero);
             const int64_t outputs = in[1].shape()[0];
             const int64_t inputs = in[1].shape()[1];
             const int64_t rows = in[0].shape().product(0, in[0].rank() - 1);
             const T* bias = in.size() == 3 ? in[2].data<T>() : nullptr;
             gemm<T>(rows, outputs, inputs, {in[0].data<T>(), inputs}, {in[1].data<T>(), inputs, true}, bias,
                     out[0].data<T>(), outputs);
           });
         },
     .differentiate =
         [](Vjp& vjp) {
           const Value ct = vjp.cotangent();
           if (vjp.needs(0)) {
             const Value toX = ct.shape().rank() == 1 ? ops::matmul(ops::reshape(ct, {1, ct.shape()[0]}), vjp.input(1))
                                                      : ops::matmul(ct, vjp.input(1));
             vjp.give(0, ops::reshape(toX, vjp.lead().then(vjp.inputType(0).shape)));
           }
           const bool wantsBias = vjp.inputCount() == 3 && vjp.needs(2);
           if (!vjp.needs(1) && !wantsBias) return;
           const Value rows = tall(ct, vjp.lead());
           if (vjp.needs(1)) vjp.give(1, ops::matmul(rows, tall(vjp.input(0)), true, false));
           if (wantsBias) vjp.give(2, ops::sum(rows, {-2}));
         },
     .readsInputs = bit(0) | bit(1),
     .flops = [](Tensors in, Tensors out,
                 const Attributes&) { return 2.0 * static_cast<double>(out[0].size() * in[1].shape()[1]); }});

}  // namespace

}  // namespace sparring
