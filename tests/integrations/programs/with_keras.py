"""A training with Keras on torch: dropout, shuffled data, Adam."""

import keras
import numpy as np
from tests.integrations import marks

from greenai.integrations.keras import initial_epoch, pause_callback, restored

keras.utils.set_random_seed(3)
x = np.random.default_rng(1).normal(size=(80, 6)).astype("float32")
y = np.sin(x.sum(1, keepdims=True))


class Mark(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        marks.step(epoch + 1)


def built():
    layers = [keras.Input((6,)), keras.layers.Dense(16, "relu"), keras.layers.Dropout(0.3), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    return model


model = restored() or built()
model.fit(x, y, batch_size=8, epochs=6, initial_epoch=initial_epoch(), callbacks=[Mark(), pause_callback()], verbose=0)
marks.finish(**{str(i): value for i, value in enumerate(model.get_weights())}, predicted=model.predict(x, verbose=0))
