/* The C API from C, against the shared library: c_api_test FILE [WRONG FILE]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "octet/octet.h"

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) {                                                               \
      fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, octet_error());     \
      return 1;                                                                       \
    }                                                                                 \
  } while (0)

static size_t count_elements(const int64_t* dims, int rank) {
  size_t n = 1;
  for (int d = 1; d < rank; ++d) n *= (size_t)dims[d];
  return n;
}

static char* read_all(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  char* bytes = NULL;
  if (file == NULL) return NULL;
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  bytes = malloc(*size);
  if (bytes != NULL && fread(bytes, 1, *size, file) != *size) *size = 0;
  fclose(file);
  return bytes;
}

static int check_failures(const char* path) {
  CHECK(octet_load("/nonexistent.octet") == NULL);
  CHECK(strstr(octet_error(), "nonexistent") != NULL);
  CHECK(octet_load(NULL) == NULL);
  CHECK(octet_load_bytes("abc", 3) == NULL);
  CHECK(octet_open(NULL, 1) == NULL);
  CHECK(octet_run(NULL, 1, NULL, NULL) != 0);
  CHECK(octet_input_count(NULL) == -1 && octet_input_name(NULL, 0) == NULL);
  octet_engine* engine = octet_load(path);
  CHECK(engine != NULL);
  CHECK(octet_input_name(engine, 1) == NULL && octet_input_name(engine, -1) == NULL);
  CHECK(octet_output_type(engine, 3) == NULL && octet_output_dims(engine, 3, NULL, 0) == -1);
  CHECK(octet_open(engine, -5) == NULL);
  octet_unload(engine);
  octet_unload(NULL);
  octet_close(NULL);
  return 0;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  CHECK(check_failures(argv[1]) == 0);
  octet_engine* engine = octet_load(argv[1]);
  CHECK(engine != NULL);
  CHECK(octet_input_count(engine) == 1 && octet_output_count(engine) == 3);
  CHECK(strcmp(octet_input_name(engine, 0), "image") == 0 && strcmp(octet_input_type(engine, 0), "float32") == 0);
  CHECK(strcmp(octet_output_name(engine, 1), "codes") == 0 && strcmp(octet_output_type(engine, 1), "int8") == 0);
  int64_t dims[8];
  CHECK(octet_input_dims(engine, 0, dims, 8) == 4 && dims[0] == -1 && dims[1] == 3);
  const size_t in_size = count_elements(dims, 4);
  octet_session* session = octet_open(engine, 2);
  CHECK(session != NULL);
  size_t size = 0;
  char* bytes = read_all(argv[1], &size);
  octet_engine* copy = octet_load_bytes(bytes, size);
  CHECK(copy != NULL);
  free(bytes);
  octet_session* other = octet_open(copy, 1);
  CHECK(other != NULL);
  octet_unload(engine); /* the sessions keep what they need */
  enum { kBatch = 2 };
  float* input = malloc(in_size * kBatch * sizeof(float));
  for (size_t i = 0; i < in_size * kBatch; ++i) input[i] = (float)(i % 101) / 25.0f - 2.0f;
  void* results[2][3];
  size_t sizes[3];
  for (int o = 0; o < 3; ++o) {
    const int rank = octet_output_dims(copy, o, dims, 8);
    sizes[o] = count_elements(dims, rank) * kBatch * (strcmp(octet_output_type(copy, o), "int8") == 0 ? 1 : 4);
    for (int s = 0; s < 2; ++s) results[s][o] = calloc(sizes[o], 1);
  }
  octet_unload(copy);
  const void* inputs[1];
  inputs[0] = input;
  CHECK(octet_run(session, kBatch, inputs, results[0]) == 0);
  CHECK(octet_run(other, kBatch, inputs, results[1]) == 0);
  CHECK(octet_run(session, 0, inputs, results[0]) == 2);
  int any = 0;
  for (int o = 0; o < 3; ++o) {
    CHECK(memcmp(results[0][o], results[1][o], sizes[o]) == 0);
    for (size_t i = 0; i < sizes[o]; ++i) any |= ((char*)results[0][o])[i];
    free(results[0][o]);
    free(results[1][o]);
  }
  CHECK(any != 0);
  free(input);
  octet_close(session);
  octet_close(other);
  return 0;
}
