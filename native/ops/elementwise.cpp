/** Element-wise arithmetic, functions and comparisons; two operands broadcast. */
#include <cmath>
#include <type_traits>

#include "ops/broadcast.h"
#include "ops/functions.h"
#include "ops/ops.h"

namespace sparring {

namespace {

Op elementwise(const char* name, int inputs, Op::Infer infer, Op::Run run, Op::Differentiate differentiate = nullptr,
               unsigned readsInputs = 0, unsigned readsOutputs = 0) {
  return {.name = name,
          .leastInputs = inputs,
          .mostInputs = inputs,
          .infer = infer,
          .run = run,
          .differentiate = differentiate,
          .readsInputs = readsInputs,
          .readsOutputs = readsOutputs,
          .elementwise = true};
}

using ops::affine;
using ops::div;
using ops::mul;
using ops::neg;
using ops::sub;

// ---- one operand ------------------------------------------------------------------------------------------------

Types sameFloat(Tensors in, const Attributes&) {
  dispatchFloat(in[0].dtype(), [](auto) {});
  return {in[0].type()};
}

Types sameNumber(Tensors in, const Attributes&) {
  if (in[0].dtype() == DType::uint8)
    fail(ErrorCode::dtypeMismatch, "expected float32, float64 or int32, received uint8");
  return {in[0].type()};
}

/** A run function that maps a functor, of any float type, over its operand. */
template <class F>
void mapFloat(Tensors in, Tensors out, const Attributes&) {
  dispatchFloat(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    mapOne<T, T>(out[0], in[0], [](T x) { return F::of(x); });
  });
}

/** A run function for a function of floats and whole numbers. */
template <class F>
void mapNumber(Tensors in, Tensors out, const Attributes&) {
  dispatch(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    mapOne<T, T>(out[0], in[0], [](T x) { return static_cast<T>(F::of(x)); });
  });
}

#define SPARRING_FUNCTION(Name, expression) \
  struct Name {                             \
    template <class T>                      \
    static T of(T x) {                      \
      return static_cast<T>(expression);    \
    }                                       \
  };
SPARRING_FUNCTION(Neg, -x)
SPARRING_FUNCTION(Abs, x < T{0} ? -x : x)
SPARRING_FUNCTION(Sign, signOf(x))
SPARRING_FUNCTION(Square, x* x)
SPARRING_FUNCTION(Sqrt, std::sqrt(x))
SPARRING_FUNCTION(Exp, expOf(x))
SPARRING_FUNCTION(Log, std::log(x))
SPARRING_FUNCTION(Sin, std::sin(x))
SPARRING_FUNCTION(Cos, std::cos(x))
SPARRING_FUNCTION(Floor, std::floor(x))
SPARRING_FUNCTION(Round, std::nearbyint(x))
SPARRING_FUNCTION(Relu, x > T{0} || x != x ? x : T{0})
SPARRING_FUNCTION(Tanh, tanhOf(x))
SPARRING_FUNCTION(Sigmoid, sigmoidOf(x))
#undef SPARRING_FUNCTION

const Registration neg_(elementwise(
    "neg", 1, sameNumber, mapNumber<Neg>, [](Vjp& vjp) { vjp.give(0, neg(vjp.cotangent())); }, 0, 0));
const Registration abs_(elementwise(
    "abs", 1, sameNumber, mapNumber<Abs>, [](Vjp& vjp) { vjp.give(0, mul(vjp.cotangent(), ops::sign(vjp.input(0)))); },
    bit(0), 0));
const Registration sign_(elementwise("sign", 1, sameNumber, mapNumber<Sign>));
const Registration floor_(elementwise("floor", 1, sameFloat, mapFloat<Floor>));
const Registration round_(elementwise("round", 1, sameFloat, mapFloat<Round>));
const Registration square_(elementwise(
    "square", 1, sameFloat, mapFloat<Square>,
    [](Vjp& vjp) { vjp.give(0, affine(mul(vjp.cotangent(), vjp.input(0)), 2)); }, bit(0), 0));
const Registration sqrt_(elementwise(
    "sqrt", 1, sameFloat, mapFloat<Sqrt>,
    [](Vjp& vjp) { vjp.give(0, affine(div(vjp.cotangent(), vjp.output()), 0.5)); }, 0, bit(0)));
const Registration exp_(elementwise(
    "exp", 1, sameFloat, mapFloat<Exp>, [](Vjp& vjp) { vjp.give(0, mul(vjp.cotangent(), vjp.output())); }, 0, bit(0)));
const Registration log_(elementwise(
    "log", 1, sameFloat, mapFloat<Log>, [](Vjp& vjp) { vjp.give(0, div(vjp.cotangent(), vjp.input(0))); }, bit(0), 0));
const Registration sin_(elementwise(
    "sin", 1, sameFloat, mapFloat<Sin>,
    [](Vjp& vjp) { vjp.give(0, mul(vjp.cotangent(), ops::one("cos", {}, vjp.input(0)))); }, bit(0), 0));
const Registration cos_(elementwise(
    "cos", 1, sameFloat, mapFloat<Cos>,
    [](Vjp& vjp) { vjp.give(0, neg(mul(vjp.cotangent(), ops::one("sin", {}, vjp.input(0))))); }, bit(0), 0));
const Registration tanh_(elementwise(
    "tanh", 1, sameFloat, mapFloat<Tanh>,
    [](Vjp& vjp) { vjp.give(0, ops::one("tanhBackward", {}, vjp.cotangent(), vjp.output())); }, 0, bit(0)));
const Registration sigmoid_(elementwise(
    "sigmoid", 1, sameFloat, mapFloat<Sigmoid>,
    [](Vjp& vjp) {
      const Value y = vjp.output();
      vjp.give(0, mul(vjp.cotangent(), mul(y, affine(y, -1, 1))));
    },
    0, bit(0)));
const Registration relu_(elementwise(
    "relu", 1, sameFloat, mapFloat<Relu>,
    [](Vjp& vjp) { vjp.give(0, ops::one("reluBackward", {}, vjp.cotangent(), vjp.output())); }, 0, bit(0)));

// ---- one operand and numbers ------------------------------------------------------------------------------------

const Registration affine_(elementwise(
    "affine", 1, sameNumber,
    [](Tensors in, Tensors out, const Attributes& attributes) {
      dispatch(in[0].dtype(), [&](auto zero) {
        using T = decltype(zero);
        // Of whole numbers too, the factor and the shift need not be whole.
        using F = std::conditional_t<std::is_floating_point_v<T>, T, double>;
        const F factor = static_cast<F>(attributes.number("factor"));
        const F shift = static_cast<F>(attributes.number("shift", 0));
        mapOne<T, T>(out[0], in[0], [=](T x) { return numberAs<T>(static_cast<F>(x) * factor + shift); });
      });
    },
    [](Vjp& vjp) { vjp.give(0, affine(vjp.cotangent(), vjp.attributes().number("factor"))); }, 0, 0));

const Registration clamp_(elementwise(
    "clamp", 1,
    [](Tensors in, const Attributes& attributes) {
      if (!(attributes.number("low") <= attributes.number("high"))) {
        fail(ErrorCode::invalidArgument, "expected low <= high, received ", attributes.number("low"), " and ",
             attributes.number("high"));
      }
      return sameNumber(in, attributes);
    },
    [](Tensors in, Tensors out, const Attributes& attributes) {
      dispatch(in[0].dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T low = numberAs<T>(attributes.number("low"));
        const T high = numberAs<T>(attributes.number("high"));
        mapOne<T, T>(out[0], in[0], [=](T x) { return x < low ? low : (x > high ? high : x); });
      });
    },
    [](Vjp& vjp) {
      const Value inside = ops::one(
          "inside", {{"low", vjp.attributes().number("low")}, {"high", vjp.attributes().number("high")}}, vjp.input(0));
      vjp.give(0, mul(vjp.cotangent(), inside));
    },
    bit(0), 0));

/** 1 where low <= x <= high, else 0. */
const Registration inside_(elementwise(
    "inside", 1, sameFloat,
    [](Tensors in, Tensors out, const Attributes& attributes) {
      dispatchFloat(in[0].dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T low = static_cast<T>(attributes.number("low"));
        const T high = static_cast<T>(attributes.number("high"));
        mapOne<T, T>(out[0], in[0], [=](T x) { return static_cast<T>(low <= x && x <= high); });
      });
    },
    nullptr));

const Registration pow_(elementwise(
    "pow", 1, sameFloat,
    [](Tensors in, Tensors out, const Attributes& attributes) {
      dispatchFloat(in[0].dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T exponent = static_cast<T>(attributes.number("exponent"));
        mapOne<T, T>(out[0], in[0], [=](T x) { return std::pow(x, exponent); });
      });
    },
    [](Vjp& vjp) {
      const double exponent = vjp.attributes().number("exponent");
      const Value slope = exponent == 0 ? affine(vjp.input(0), 0)
                                        : affine(ops::one("pow", {{"exponent", exponent - 1}}, vjp.input(0)), exponent);
      vjp.give(0, mul(vjp.cotangent(), slope));
    },
    bit(0), 0));

const Registration cast_(
    {"cast", 1, 1,
     [](Tensors in, const Attributes& attributes) {
       return Types{{in[0].shape(), ops::newDtype(attributes)}};
     },
     [](Tensors in, Tensors out, const Attributes&) {
       dispatch(in[0].dtype(), [&](auto from) {
         dispatch(out[0].dtype(), [&](auto to) {
           using To = decltype(to);
           mapOne<To, decltype(from)>(out[0], in[0], [](auto x) { return numberAs<To>(x); });
         });
       });
     },
     [](Vjp& vjp) {
       vjp.give(0, ops::one("cast", {{"dtype", std::string(dtypeName(vjp.inputType(0).dtype))}}, vjp.cotangent()));
     }});

const Registration full_({"full", 0, 0,
                          [](Tensors, const Attributes& attributes) {
                            return Types{{ops::newShape(attributes), ops::newDtype(attributes)}};
                          },
                          [](Tensors, Tensors out, const Attributes& attributes) {
                            dispatch(out[0].dtype(), [&](auto zero) {
                              using T = decltype(zero);
                              std::fill_n(out[0].data<T>(), out[0].size(), numberAs<T>(attributes.number("value")));
                            });
                          }});

// ---- two operands -----------------------------------------------------------------------------------------------

void checkSameDtype(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype()) {
    fail(ErrorCode::dtypeMismatch, "expected two tensors of one dtype, received ", dtypeName(a.dtype()), " and ",
         dtypeName(b.dtype()));
  }
}

Types broadcastNumber(Tensors in, const Attributes& attributes) {
  checkSameDtype(in[0], in[1]);
  sameNumber(in, attributes);
  return {{broadcast(in[0].shape(), in[1].shape()), in[0].dtype()}};
}

Types broadcastFloat(Tensors in, const Attributes& attributes) {
  sameFloat(in, attributes);
  return broadcastNumber(in, attributes);
}

template <class F>
void mapPair(Tensors in, Tensors out, const Attributes&) {
  dispatch(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    mapTwo<T, T, T>(out[0], in[0], in[1], [](T a, T b) { return static_cast<T>(F::of(a, b)); });
  });
}

#define SPARRING_FUNCTION(Name, expression) \
  struct Name {                             \
    template <class T>                      \
    static T of(T a, T b) {                 \
      return static_cast<T>(expression);    \
    }                                       \
  };
SPARRING_FUNCTION(Add, a + b)
SPARRING_FUNCTION(Sub, a - b)
SPARRING_FUNCTION(Mul, a* b)
SPARRING_FUNCTION(Div, a / b)
SPARRING_FUNCTION(Maximum, a > b || a != a ? a : b)
SPARRING_FUNCTION(Minimum, a < b || a != a ? a : b)
SPARRING_FUNCTION(Equal, a == b)
SPARRING_FUNCTION(NotEqual, a != b)
SPARRING_FUNCTION(Less, a < b)
SPARRING_FUNCTION(LessEqual, a <= b)
SPARRING_FUNCTION(Greater, a > b)
SPARRING_FUNCTION(GreaterEqual, a >= b)
SPARRING_FUNCTION(ReluBackward, b <= T{0} ? T{0} : a)
SPARRING_FUNCTION(TanhBackward, a*(T{1} - b * b))
#undef SPARRING_FUNCTION

const Registration add_(elementwise(
    "add", 2, broadcastNumber, mapPair<Add>,
    [](Vjp& vjp) {
      for (const int index : {0, 1}) {
        if (vjp.needs(index)) vjp.giveBroadcast(index, vjp.cotangent());
      }
    },
    0, 0));
const Registration sub_(elementwise(
    "sub", 2, broadcastNumber, mapPair<Sub>,
    [](Vjp& vjp) {
      if (vjp.needs(0)) vjp.giveBroadcast(0, vjp.cotangent());
      if (vjp.needs(1)) vjp.giveBroadcast(1, neg(vjp.cotangent()));
    },
    0, 0));
const Registration mul_(elementwise(
    "mul", 2, broadcastNumber, mapPair<Mul>,
    [](Vjp& vjp) {
      if (vjp.needs(0)) vjp.giveBroadcast(0, mul(vjp.cotangent(), vjp.input(1)));
      if (vjp.needs(1)) vjp.giveBroadcast(1, mul(vjp.cotangent(), vjp.input(0)));
    },
    bit(0) | bit(1), 0));
const Registration div_(elementwise(
    "div", 2, broadcastFloat, mapPair<Div>,
    [](Vjp& vjp) {
      const Value toNumerator = div(vjp.cotangent(), vjp.input(1));
      if (vjp.needs(0)) vjp.giveBroadcast(0, toNumerator);
      if (vjp.needs(1)) {
        vjp.giveBroadcast(1, neg(mul(toNumerator, div(vjp.input(0), vjp.input(1)))));
      }
    },
    bit(0) | bit(1), 0));

/** Of two equal operands the first takes the whole cotangent of a maximum or minimum. */
template <bool largest>
void differentiateExtreme(Vjp& vjp) {
  const Value first = ops::one(largest ? "greaterEqual" : "lessEqual", {}, vjp.input(0), vjp.input(1));
  if (vjp.needs(0)) vjp.giveBroadcast(0, mul(vjp.cotangent(), first));
  if (vjp.needs(1)) vjp.giveBroadcast(1, mul(vjp.cotangent(), affine(first, -1, 1)));
}

const Registration maximum_(elementwise("maximum", 2, broadcastNumber, mapPair<Maximum>, differentiateExtreme<true>,
                                        bit(0) | bit(1), 0));
const Registration minimum_(elementwise("minimum", 2, broadcastNumber, mapPair<Minimum>, differentiateExtreme<false>,
                                        bit(0) | bit(1), 0));

const Registration equal_(elementwise("equal", 2, broadcastNumber, mapPair<Equal>));
const Registration notEqual_(elementwise("notEqual", 2, broadcastNumber, mapPair<NotEqual>));
const Registration less_(elementwise("less", 2, broadcastNumber, mapPair<Less>));
const Registration lessEqual_(elementwise("lessEqual", 2, broadcastNumber, mapPair<LessEqual>));
const Registration greater_(elementwise("greater", 2, broadcastNumber, mapPair<Greater>));
const Registration greaterEqual_(elementwise("greaterEqual", 2, broadcastNumber, mapPair<GreaterEqual>));

/** The cotangent where relu's output is positive, or is no number, as PyTorch's. */
const Registration reluBackward_(elementwise(
    "reluBackward", 2, broadcastFloat, mapPair<ReluBackward>,
    [](Vjp& vjp) {
      if (vjp.needs(0)) {
        vjp.giveBroadcast(0, ops::one("reluBackward", {}, vjp.cotangent(), vjp.input(1)));
      }
    },
    bit(1), 0));

/** The cotangent times 1 - y^2, y tanh's output. */
const Registration tanhBackward_(elementwise(
    "tanhBackward", 2, broadcastFloat, mapPair<TanhBackward>,
    [](Vjp& vjp) {
      if (vjp.needs(0)) {
        vjp.giveBroadcast(0, ops::one("tanhBackward", {}, vjp.cotangent(), vjp.input(1)));
      }
      if (vjp.needs(1)) {
        const Value slope = affine(mul(vjp.input(0), vjp.input(1)), -2);
        vjp.giveBroadcast(1, mul(vjp.cotangent(), slope));
      }
    },
    bit(0) | bit(1), 0));

// ---- where ------------------------------------------------------------------------------------------------------

template <class T>
SPARRING_CLONES void chooseRun(int64_t n, T* out, const T* condition, const T* a, const T* b, int64_t stepCondition,
                               int64_t stepA, int64_t stepB) {
  for (int64_t i = 0; i < n; i++) out[i] = condition[i * stepCondition] != T{0} ? a[i * stepA] : b[i * stepB];
}

const Registration where_(elementwise(
    "where", 3,
    [](Tensors in, const Attributes& attributes) {
      checkSameDtype(in[1], in[2]);
      checkSameDtype(in[0], in[1]);
      sameNumber(in, attributes);
      return Types{{broadcast(in[0].shape(), broadcast(in[1].shape(), in[2].shape())), in[1].dtype()}};
    },
    [](Tensors in, Tensors out, const Attributes&) {
      dispatch(in[1].dtype(), [&](auto zero) {
        using T = decltype(zero);
        const BroadcastWalk<3> walk(out[0].shape(), {&in[0].shape(), &in[1].shape(), &in[2].shape()});
        const int64_t n = walk.run();
        if (out[0].size() == 0) return;
        parallelFor(walk.runs(), std::max<int64_t>(1, elementGrain / n), [&](int64_t begin, int64_t end) {
          for (int64_t index = begin; index < end; index++) {
            const auto at = walk.start(index);
            chooseRun(n, out[0].data<T>() + index * n, in[0].data<T>() + at[0], in[1].data<T>() + at[1],
                      in[2].data<T>() + at[2], int64_t{walk.moves(0)}, int64_t{walk.moves(1)}, int64_t{walk.moves(2)});
          }
        });
      });
    },
    [](Vjp& vjp) {
      const Value zero = ops::full({}, 0, vjp.outputType().dtype);
      if (vjp.needs(1)) vjp.giveBroadcast(1, ops::where(vjp.input(0), vjp.cotangent(), zero));
      if (vjp.needs(2)) vjp.giveBroadcast(2, ops::where(vjp.input(0), zero, vjp.cotangent()));
    },
    bit(0), 0));

}  // namespace

}  // namespace sparring
