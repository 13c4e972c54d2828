// Thumbnails: POST a JPEG, get a small one back. ?width=200 says how wide (16 to 2048, never wider than the picture).
#include <mayfly/function.h>

#include <cstdio>  // before jpeglib.h, which needs FILE

#include <jpeglib.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace {

constexpr int kQuality = 80;

// libjpeg reports an error by a callback that must not return.
[[noreturn]] void fail(j_common_ptr codec) {
  char text[JMSG_LENGTH_MAX];
  codec->err->format_message(codec, text);
  throw mayfly::Error("BadPicture", text);
}

jpeg_error_mgr throwing_errors() {
  jpeg_error_mgr errors{};
  jpeg_std_error(&errors);
  errors.error_exit = fail;
  errors.output_message = [](j_common_ptr) {};  // warnings of slightly broken files
  return errors;
}

struct Picture {
  int width = 0, height = 0;
  std::vector<unsigned char> pixels;  // RGB, row by row
};

struct Decoder {
  jpeg_error_mgr errors = throwing_errors();
  jpeg_decompress_struct codec{};
  Decoder() { codec.err = &errors, jpeg_create_decompress(&codec); }
  ~Decoder() { jpeg_destroy_decompress(&codec); }
};

struct Encoder {
  jpeg_error_mgr errors = throwing_errors();
  jpeg_compress_struct codec{};
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  Encoder() { codec.err = &errors, jpeg_create_compress(&codec), jpeg_mem_dest(&codec, &bytes, &size); }
  ~Encoder() { jpeg_destroy_compress(&codec), std::free(bytes); }
};

// At least `width` wide, by eighths of the picture: the decoder leaves out what would be thrown away anyway.
Picture decode(std::string_view jpeg, int width) {
  Decoder decoder;
  auto& codec = decoder.codec;
  jpeg_mem_src(&codec, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
  jpeg_read_header(&codec, TRUE);
  codec.out_color_space = JCS_RGB;
  codec.scale_denom = 8;
  codec.scale_num = std::clamp<unsigned>((static_cast<unsigned>(width) * 8 + codec.image_width - 1) / codec.image_width, 1, 8);
  jpeg_start_decompress(&codec);
  Picture picture{static_cast<int>(codec.output_width), static_cast<int>(codec.output_height), {}};
  picture.pixels.resize(size_t{3} * codec.output_width * codec.output_height);
  while (codec.output_scanline < codec.output_height) {
    unsigned char* row = &picture.pixels[size_t{3} * codec.output_width * codec.output_scanline];
    jpeg_read_scanlines(&codec, &row, 1);
  }
  jpeg_finish_decompress(&codec);
  return picture;
}

// Each new pixel is the mean of the pixels it covers.
Picture shrink(const Picture& from, int width) {
  Picture to{width, std::max(1, from.height * width / from.width), {}};
  to.pixels.reserve(size_t{3} * to.width * to.height);
  for (int y = 0; y < to.height; ++y) {
    int top = y * from.height / to.height, bottom = std::max(top + 1, (y + 1) * from.height / to.height);
    for (int x = 0; x < to.width; ++x) {
      int left = x * from.width / to.width, right = std::max(left + 1, (x + 1) * from.width / to.width);
      unsigned sum[3] = {};
      for (int row = top; row < bottom; ++row)
        for (int column = left; column < right; ++column)
          for (int colour = 0; colour < 3; ++colour) sum[colour] += from.pixels[(size_t(row) * from.width + column) * 3 + colour];
      for (unsigned colour : sum) to.pixels.push_back(static_cast<unsigned char>(colour / ((bottom - top) * (right - left))));
    }
  }
  return to;
}

std::string encode(Picture& picture) {
  Encoder encoder;
  auto& codec = encoder.codec;
  codec.image_width = picture.width;
  codec.image_height = picture.height;
  codec.input_components = 3;
  codec.in_color_space = JCS_RGB;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, kQuality, TRUE);
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < codec.image_height) {
    unsigned char* row = &picture.pixels[size_t{3} * picture.width * codec.next_scanline];
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  return {reinterpret_cast<char*>(encoder.bytes), encoder.size};
}

mayfly::Reply thumbnail(const mayfly::Request& request, mayfly::Context& context) {
  int width = 200;
  std::string_view asked = request.query("width", "200");
  std::from_chars(asked.data(), asked.data() + asked.size(), width);
  width = std::clamp(width, 16, 2048);
  try {
    Picture picture = decode(request.body(), width);
    if (picture.width > width) picture = shrink(picture, width);
    context.log.info(request.body().size(), " bytes became ", picture.width, " x ", picture.height);
    return mayfly::Reply::bytes(encode(picture), "image/jpeg");
  } catch (const mayfly::Error& error) {
    return mayfly::Reply(std::string(error.what()) + "\n").status(422);
  }
}

}  // namespace

int main() { return mayfly::serve(mayfly::http("thumbnail", thumbnail)); }
