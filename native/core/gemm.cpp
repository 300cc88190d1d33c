/**
 * Matrix products.
 *
 * On x86-64 with AVX2 they are our own: every number of the result is a sum whose order depends on k alone, so that a row
 * is the same to the bit in any batch, also alone, on any number of threads, and in the shapes of training they are faster
 * than OpenBLAS's. Elsewhere OpenBLAS computes them, whose kernels are made for each machine, and everywhere those that
 * give a single column.
 *
 * A block of `a` is packed into tiles of rows and stays in the second-level cache; the columns of `b` go by it in narrow
 * panels, each packed just before it is used, so that it is still in the nearest cache. Further blocks of `a` find the
 * panels packed. A tile of the result is fetched once for all terms of a block.
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
constexpr int64_t sumTerms = 128;

/** Bytes of a panel of `b`, for the nearest cache; of a block of `a`, for the next; of the panels that are kept. */
constexpr int64_t panelBytes = 24 << 10;
constexpr int64_t rowsBytes = 240 << 10;
constexpr int64_t panelsBytes = 1536 << 10;

/** Columns of the widest panel of `b`. */
constexpr int64_t mostColumns = 64;
/** Columns that a thread takes are a multiple of this, so that few panels are cut. */
constexpr int64_t unitColumns = 16;

/** What a thread packs into. It is kept. */
template <class T>
struct GemmScratch {
  alignas(64) T a[rowsBytes / sizeof(T)];
  alignas(64) T b[panelsBytes / sizeof(T)];
  alignas(64) T c[gemmRows * mostColumns];
  alignas(64) T start[mostColumns];
};

/** What is packed at a time for a product of `m` rows, and the tile that it is computed by. */
template <class T>
struct GemmBlock {
  int64_t width, tileRows, terms, rows, columns;

  GemmBlock(const GemmKernels<T>& kernels, int64_t m) {
    constexpr int64_t size = sizeof(T);
    const int64_t vectors = m * 4 <= kernels.sums ? 4 : 2;
    width = vectors * kernels.lanes;
    tileRows = kernels.sums / vectors;
    terms = std::max<int64_t>(1, panelBytes / size / width / sumTerms) * sumTerms;
    rows = rowsBytes / size / terms / gemmRows * gemmRows;
    columns = panelsBytes / size / terms / width * width;
  }
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
 * The lines of the next panel, in sequences of `count` that lie a stride apart: while a tile's sums are computed, one
 * sequence is fetched.
 */
template <class T>
class PanelAhead {
 public:
  PanelAhead(Matrix<T> panel, int64_t width, int64_t terms)
      : panel_(panel), linesAcross_(panel.transposed ? terms / line : width / line + 1) {}
  [[nodiscard]] int64_t stride() const { return panel_.stride; }
  [[nodiscard]] const T* at(int64_t sequence) const {
    return panel_.data + sequence / linesAcross_ * count * panel_.stride + sequence % linesAcross_ * line;
  }

 private:
  static constexpr int64_t line = 64 / sizeof(T);
  static constexpr int64_t count = sumTerms / gemmAhead;

  Matrix<T> panel_;
  int64_t linesAcross_;
};

template <class T>
constexpr T zeros[mostColumns] = {};

/** A block of packed rows times a panel of columns. */
template <class T>
struct PanelProduct {
  const GemmKernels<T>& kernels;
  GemmBlock<T> block;
  int64_t rows, columns, terms;
  const T* a;  // packed
  const T* b;  // from one term to the next: bStep
  int64_t bStep;
  const T* start;  // null to start from what is in c
  T* c;
  int64_t cStride;
  PanelAhead<T> ahead;

  void run(GemmScratch<T>& scratch) const {
    const int64_t used = (columns + kernels.lanes - 1) / kernels.lanes;
    // A tile that reaches past the last column goes by way of scratch.
    const bool whole = columns == block.width;
    const T* first = start;
    if (!whole && start != nullptr) first = std::copy_n(start, columns, scratch.start) - columns;
    GemmTile<T> tile{};
    tile.bStep = bStep;
    tile.cStride = whole ? cStride : block.width;
    tile.aheadStep = ahead.stride();
    int64_t sequence = 0;
    for (int64_t r = 0; r < rows; r += block.tileRows) {
      const int64_t here = std::min(block.tileRows, rows - r);
      const auto kernel = kernels.tile[static_cast<size_t>(here - 1)][static_cast<size_t>(used - 1)];
      T* const target = c + r * cStride;
      tile.c = whole ? target : scratch.c;
      for (int64_t i = 0; i < here && !whole && first == nullptr; i++) {
        std::copy_n(target + i * cStride, columns, scratch.c + i * block.width);
      }
      const T* const rowsOfTile = a + r / gemmRows * gemmRows * block.terms + r % gemmRows;
      for (int64_t term = 0; term == 0 || term < terms; term += sumTerms) {
        tile.terms = std::min(sumTerms, terms - term);
        tile.a = rowsOfTile + term * gemmRows;
        tile.b = b + term * bStep;
        tile.start = term > 0 ? nullptr : first;
        tile.ahead = ahead.at(sequence++);
        kernel(tile);
      }
      for (int64_t i = 0; i < here && !whole; i++) {
        std::copy_n(scratch.c + i * block.width, columns, target + i * cStride);
      }
    }
  }
};

}  // namespace

template <class T>
void gemmWith(const GemmKernels<T>& kernels, int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, const T* start,
              T* c, int64_t cStride) {
  if (m == 1 && b.transposed && n >= kernels.lanes) {
    kernels.row({n, k, sumTerms, a.data, a.transposed ? a.stride : 1, b.data, b.stride, start, c});
    return;
  }
  GemmScratch<T>& scratch = gemmScratch<T>();
  const GemmBlock<T> block(kernels, m);
  const bool once = m <= block.tileRows;  // whether a number of b is used only once
  const bool again = m > block.rows;      // whether a packed panel is used again

  for (int64_t term = 0; term == 0 || term < k; term += block.terms) {
    const int64_t terms = std::min(block.terms, k - term);
    for (int64_t left = 0; left < n; left += block.columns) {
      const int64_t right = std::min(left + block.columns, n);
      for (int64_t row = 0; row < m; row += block.rows) {
        const int64_t rows = std::min(block.rows, m - row);
        for (int64_t r = 0; r < rows; r += gemmRows) {
          packRows(kernels, a.rowsFrom(row + r).columnsFrom(term), std::min<int64_t>(gemmRows, rows - r), terms,
                   scratch.a + r * block.terms, gemmRows);
        }
        for (int64_t column = left; column < right; column += block.width) {
          const int64_t columns = std::min(block.width, right - column);
          const Matrix<T> panel = b.columnsFrom(column).rowsFrom(term);
          T* const packed = again ? scratch.b + (column - left) * block.terms : scratch.b;
          const bool direct = once && !b.transposed && columns == block.width;
          if (row == 0 && !direct) {
            const Matrix<T> panelRows{panel.data, panel.stride, !panel.transposed};  // its columns as rows
            packRows(kernels, panelRows, columns, terms, packed, block.width);
          }
          const Matrix<T> next = row == 0 ? b.columnsFrom(column + block.width).rowsFrom(term)
                                          : Matrix<T>{packed + block.width * block.terms, block.width};
          const PanelProduct<T> product{
              .kernels = kernels,
              .block = block,
              .rows = rows,
              .columns = columns,
              .terms = terms,
              .a = scratch.a,
              .b = direct ? panel.data : packed,
              .bStep = direct ? panel.stride : block.width,
              .start = term > 0           ? nullptr
                       : start == nullptr ? zeros<T>
                                          : start + column,
              .c = c + row * cStride + column,
              .cStride = cStride,
              .ahead = {next, block.width, block.terms},
          };
          product.run(scratch);
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
