// What stands around the 8-bit products, each in one pass over memory.
#include <cmath>
#include <cstdint>

extern "C" {

// Rows (P, D) of floats, times a factor for each column where there are some, as 8-bit integers
// with a scale for each row.
void to_bytes(const float* x, const float* columns, int64_t rows, int64_t width, int8_t* out, float* scales) {
    for (int64_t r = 0; r < rows; ++r, x += width, out += width) {
        float most = 1e-12f;
        if (columns) {
            for (int64_t i = 0; i < width; ++i) most = std::fmax(most, std::fabs(x[i] * columns[i]));
        } else {
            for (int64_t i = 0; i < width; ++i) most = std::fmax(most, std::fabs(x[i]));
        }
        scales[r] = most / 127.0f;
        const float by = 127.0f / most;
        if (columns) {
            for (int64_t i = 0; i < width; ++i) out[i] = (int8_t)std::nearbyint(x[i] * columns[i] * by);
        } else {
            for (int64_t i = 0; i < width; ++i) out[i] = (int8_t)std::nearbyint(x[i] * by);
        }
    }
}

// Sums (P, D) of such products as floats, in place: the same four bytes are read and written.
void to_floats(int32_t* y, int64_t rows, int64_t width, const float* scales, const float* columns) {
    for (int64_t r = 0; r < rows; ++r, y += width) {
        float* out = reinterpret_cast<float*>(y);
        const float by = scales[r];
        for (int64_t i = 0; i < width; ++i) out[i] = (float)y[i] * by * columns[i];
    }
}

// silu(gate) * up, of rows that hold both side by side.
void gated(const float* x, int64_t rows, int64_t width, float* out) {
    for (int64_t r = 0; r < rows; ++r, x += 2 * width, out += width)
        for (int64_t i = 0; i < width; ++i) out[i] = x[i] / (1.0f + std::exp(-x[i])) * x[width + i];
}

void gated_back(const float* x, const float* grad, int64_t rows, int64_t width, float* out) {
    for (int64_t r = 0; r < rows; ++r, x += 2 * width, grad += width, out += 2 * width)
        for (int64_t i = 0; i < width; ++i) {
            const float g = x[i], s = 1.0f / (1.0f + std::exp(-g));
            out[i] = grad[i] * x[width + i] * s * (1.0f + g * (1.0f - s));
            out[width + i] = grad[i] * g * s;
        }
}
}
