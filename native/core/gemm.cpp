/**
 * Matrix products.
 *
 * On x86-64 with AVX2 they are our own: every number of the result is a sum whose order depends on k alone, so that a row
 * is the same to the bit in any batch, also alone, on any number of threads, and in the shapes of training they are faster
 * than OpenBLAS's. Elsewhere OpenBLAS computes them, whose kernels are made for each machine, and everywhere those that
 * give a single column.
 *
 * A block of `a` is packed into tiles of rows and stays in the second-level cache; the columns of `b` go by it in narrow
 * panels, each packed just before it is used, so that it is still in the nearest cache.
 */
#include "core/gemm.h"

#include <algorithm>
#include <memory>

#include "core/blas.h"
#include "core/parallel.h"

namespace sparring {

namespace {

/** Below this much arithmetic a second thread costs more than it brings. */
constexpr int64_t parallelWork = 128 * 1024;

/** Terms that are summed up before they are added to the result: with this, k alone decides the order of a sum. */
constexpr int64_t blockTerms = 128;
/** Rows of `a` that are packed at a time. */
constexpr int64_t blockRows = 40 * gemmRows;

/** Columns of the widest panel of `b`. */
constexpr int64_t mostColumns = 64;
/** Columns that a thread takes are a multiple of this, so that few panels are cut. */
constexpr int64_t unitColumns = 16;

/** What a thread packs into. It is kept. */
template <class T>
struct GemmScratch {
  alignas(64) T a[blockRows * blockTerms];
  alignas(64) T b[mostColumns * blockTerms];
  alignas(64) T c[gemmRows * mostColumns];
  alignas(64) T start[mostColumns];
};

template <class T>
GemmScratch<T>& gemmScratch() {
  static thread_local const std::unique_ptr<GemmScratch<T>> scratch(new GemmScratch<T>);
  return *scratch;
}

/** packed[term][row] = matrix[row][term] for a strip of rows, with `step` numbers between terms. */
template <class T>
void packRows(const GemmKernels<T>& kernels, Matrix<T> matrix, int64_t rows, int64_t terms, T* packed, int64_t step) {
  const auto pack = matrix.transposed ? kernels.copy : kernels.turn;
  pack(rows, terms, matrix.data, matrix.stride, packed, step);
}

/**
 * The lines of the next panel of b, in sequences of `count` that lie a stride apart: while one tile is computed, one
 * sequence is fetched.
 */
template <class T>
class PanelAhead {
 public:
  PanelAhead(Matrix<T> panel, int64_t width)
      : panel_(panel), linesAcross_(panel.transposed ? blockTerms / line : width / line + 1) {}
  [[nodiscard]] const T* at(int64_t sequence) const {
    return panel_.data + sequence / linesAcross_ * count * panel_.stride + sequence % linesAcross_ * line;
  }

 private:
  static constexpr int64_t line = 64 / sizeof(T);
  static constexpr int64_t count = blockTerms / gemmAhead;

  Matrix<T> panel_;
  int64_t linesAcross_;
};

template <class T>
constexpr T zeros[mostColumns] = {};

}  // namespace

template <class T>
void gemmWith(const GemmKernels<T>& kernels, int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, const T* start,
              T* c, int64_t cStride) {
  if (m == 1 && b.transposed && n >= kernels.lanes) {
    kernels.row({n, k, blockTerms, a.data, a.transposed ? a.stride : 1, b.data, b.stride, start, c});
    return;
  }
  GemmScratch<T>& scratch = gemmScratch<T>();
  const int64_t vectors = m * 4 <= kernels.sums ? 4 : 2;
  const int64_t tileRows = kernels.sums / vectors;
  const int64_t width = vectors * kernels.lanes;
  // A number of b that is used only once is read where it is.
  const bool direct = !b.transposed && m <= tileRows;
  const Matrix<T> bRows{b.data, b.stride, !b.transposed};  // its columns as rows

  for (int64_t term = 0; term == 0 || term < k; term += blockTerms) {
    GemmTile<T> tile{};
    tile.terms = std::min(blockTerms, k - term);
    for (int64_t row = 0; row < m; row += blockRows) {
      const int64_t rows = std::min(blockRows, m - row);
      for (int64_t r = 0; r < rows; r += gemmRows) {
        packRows(kernels, a.rowsFrom(row + r).columnsFrom(term), std::min<int64_t>(gemmRows, rows - r), tile.terms,
                 scratch.a + r * blockTerms, gemmRows);
      }
      for (int64_t column = 0; column < n; column += width) {
        const int64_t columns = std::min(width, n - column);
        const bool whole = columns == width;
        if (whole && direct) {
          tile.b = b.columnsFrom(column).rowsFrom(term).data;
          tile.bStep = b.stride;
        } else {
          packRows(kernels, bRows.rowsFrom(column).columnsFrom(term), columns, tile.terms, scratch.b, width);
          tile.b = scratch.b;
          tile.bStep = width;
        }
        tile.start = term > 0 ? nullptr : start == nullptr ? zeros<T> : start + column;
        if (!whole && tile.start != nullptr) {
          tile.start = std::copy_n(tile.start, columns, scratch.start) - columns;
        }
        const PanelAhead<T> ahead(b.columnsFrom(column + width).rowsFrom(term), width);
        const int64_t used = (columns + kernels.lanes - 1) / kernels.lanes;
        for (int64_t r = 0; r < rows; r += tileRows) {
          const int64_t here = std::min(tileRows, rows - r);
          T* target = c + (row + r) * cStride + column;
          tile.a = scratch.a + r / gemmRows * gemmRows * blockTerms + r % gemmRows;
          tile.c = whole ? target : scratch.c;
          tile.cStride = whole ? cStride : width;
          tile.ahead = ahead.at(r / tileRows);
          tile.aheadStep = b.stride;
          const auto kernel = kernels.tile[static_cast<size_t>(here - 1)][static_cast<size_t>(used - 1)];
          if (whole) {
            kernel(tile);
            continue;
          }
          // A tile that reaches past the last column goes by way of scratch.
          for (int64_t i = 0; i < here && tile.start == nullptr; i++) {
            std::copy_n(target + i * cStride, columns, scratch.c + i * width);
          }
          kernel(tile);
          for (int64_t i = 0; i < here; i++) std::copy_n(scratch.c + i * width, columns, target + i * cStride);
        }
      }
    }
  }
}

namespace {

/** Our kernels, or null where OpenBLAS computes a product with so many columns: a single one, or where we have none. */
template <class T>
const GemmKernels<T>* kernelsOf(int64_t n) {
  return n == 1 ? nullptr : gemmKernels<T>();
}

template <class T>
void multiply(const GemmKernels<T>* kernels, int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, const T* start,
              T* c, int64_t cStride) {
  if (kernels == nullptr) {
    blasGemm(m, n, k, a, b, start, c, cStride);
  } else {
    gemmWith(*kernels, m, n, k, a, b, start, c, cStride);
  }
}

}  // namespace

template <class T>
void gemmSerial(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, const T* start, T* c, int64_t cStride) {
  multiply(kernelsOf<T>(n), m, n, k, a, b, start, c, cStride);
}

template <class T>
void gemm(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, const T* start, T* c, int64_t cStride) {
  // Chosen before the split, which may leave a thread a single column.
  const GemmKernels<T>* kernels = kernelsOf<T>(n);
  if (m * n * k < parallelWork || threadCount() == 1) {
    multiply(kernels, m, n, k, a, b, start, c, cStride);
    return;
  }
  // Rows or columns of the result, whichever is longer, in multiples that the kernels like.
  const bool byRows = m > n;
  const int64_t unit = byRows ? gemmRows : unitColumns;
  const int64_t length = std::max(m, n);
  parallelFor((length + unit - 1) / unit, 1, [&](int64_t beginUnit, int64_t endUnit) {
    const int64_t begin = beginUnit * unit;
    const int64_t end = std::min(endUnit * unit, length);
    if (byRows) {
      multiply(kernels, end - begin, n, k, a.rowsFrom(begin), b, start, c + begin * cStride, cStride);
    } else {
      multiply(kernels, m, end - begin, k, a, b.columnsFrom(begin), start == nullptr ? nullptr : start + begin,
               c + begin, cStride);
    }
  });
}

template void gemmWith(const GemmKernels<float>&, int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, const float*,
                       float*, int64_t);
template void gemmWith(const GemmKernels<double>&, int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>,
                       const double*, double*, int64_t);
template void gemmSerial(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, const float*, float*, int64_t);
template void gemmSerial(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, const double*, double*, int64_t);
template void gemm(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, const float*, float*, int64_t);
template void gemm(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, const double*, double*, int64_t);

}  // namespace sparring
