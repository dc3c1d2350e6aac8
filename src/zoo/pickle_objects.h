// The few Python objects that a pickled state dict may name, and what they become.
#pragma once

#include "zoo/pickle.h"

namespace octet::zoo {

// kUnsupported for every name but those below.
Status check_global(const std::string& name);

// OrderedDict(), OrderedDict([(key, value), ...]), torch._utils._rebuild_tensor_v2(...), _rebuild_parameter(...).
// Returns the index of the value that stands for the result.
Result<uint32_t> call_global(Pickle& pickle, uint32_t callable, uint32_t arguments);

// ('storage', torch.FloatStorage, key, location, elements): what PyTorch writes where the bytes of a tensor belong.
Result<PickleValue> make_storage(Pickle& pickle, uint32_t persistent_id);

}  // namespace octet::zoo
