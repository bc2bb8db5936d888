"""lottery-ticket-pruner: the loop of its page on the package index, gone round ten times."""

import os

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

import tensorflow as tf
from lottery_ticket_pruner import LotteryTicketPruner, PrunerCallback
from measured import BATCH, BIASES, EPOCHS, LAYERS, LR, RATE, ROUNDS, TRIALS, WEIGHTS, Record

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
keras = tf.keras


def used(model) -> dict:
    """Parameters as (out, in) arrays."""
    return {n: x.T if x.ndim == 2 else x for n, x in zip(NAMES, model.get_weights(), strict=True)}


def masks_of(pruner) -> dict:
    """The masks that it has: none for a layer that it does not know."""
    return {f"{LAYERS[tpl[0]]}.weight": masks[0].T for tpl, masks in pruner.prune_masks_map.items()}


class Watch(keras.callbacks.Callback):
    """Looks at a round after the pruner's callback did: at its first epoch's begin, its last batch, and its end."""

    def __init__(self, pruner, found) -> None:
        super().__init__()
        self.pruner, self.found = pruner, found

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        if epoch == 0:
            masks = masks_of(self.pruner)
            whole = {n: masks.get(n, abs(x) >= 0) for n, x in used(self.model).items() if n in WEIGHTS}
            reported = 1 - self.pruner.cumulative_pruning_rate
            self.found.begin(used(self.model), whole, int(self.model.optimizer.iterations.numpy()), reported)

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        now = used(self.model)
        self.grown = sum(int((now[n][~m] != 0).sum()) for n, m in self.found.masks.items())

    def on_train_end(self, logs=None) -> None:
        self.found.end(used(self.model), self.grown)


NAMES = tuple(n for pair in zip(WEIGHTS, BIASES, strict=True) for n in pair)
record = Record(
    library="lottery-ticket-pruner",
    call=f"calc_prune_mask(model, {RATE}, 'large_final'), model.fit(..., callbacks=[PrunerCallback(pruner)])",
    optimizer="Adam of the one compiled model",
    packages=["lottery-ticket-pruner", "keras", "tensorflow-cpu"],
)
for trial in range(TRIALS):
    found = record.trial()
    tf.random.set_seed(trial)
    images, labels = record.given.train(trial)
    model = keras.Sequential(
        [
            keras.layers.Dense(300, activation="relu"),
            keras.layers.Dense(100, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.build((None, 784))
    model.set_weights([found.initial[n].T if n in WEIGHTS else found.initial[n] for n in NAMES])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(LR), loss=loss)
    initial_weights = model.get_weights()
    pruner = LotteryTicketPruner(model)
    for round in range(ROUNDS + 1):
        if round:
            pruner.set_pretrained_weights(model)
            model.set_weights(initial_weights)
            pruner.calc_prune_mask(model, RATE, "large_final")
        callbacks = [PrunerCallback(pruner), Watch(pruner, found)]
        model.fit(images, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=callbacks)
    model.save_weights("model.weights.h5")
    model.load_weights("model.weights.h5")
    found.file("zeros", None, {n: x for n, x in used(model).items() if n in WEIGHTS}, found.rounds[-1]["kept"])
record.write()
