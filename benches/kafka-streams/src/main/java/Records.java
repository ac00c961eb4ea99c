import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** Confluent wire format (0x00, int32 schema id, Avro body) of the three records, written by hand. */
final class Records {
  static final VarHandle DOUBLE =
      MethodHandles.byteArrayViewVarHandle(double[].class, ByteOrder.LITTLE_ENDIAN);
  static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  record Arrival(String entity, long time, double[] f) {}

  record Features(String entity, long time, double[] v) {}

  record Drift(long partition, long window, long start, long end, double[] psi) {}

  static final Serde<Arrival> ARRIVAL = Serdes.serdeFrom(
      (topic, a) -> { throw new UnsupportedOperationException(); }, (topic, b) -> new In(b).arrival());
  static final Serde<Features> FEATURES = Serdes.serdeFrom(
      (topic, x) -> new Out(2).string(x.entity).zigzag(x.time).doubles(x.v).done(), (topic, b) -> null);
  static final Serde<Drift> DRIFT = Serdes.serdeFrom(
      (topic, d) -> new Out(3).zigzag(d.partition).zigzag(d.window).zigzag(d.start).zigzag(d.end)
          .doubles(d.psi).done(), (topic, b) -> null);

  private static final class In {
    final byte[] b;
    int at = 5;

    In(byte[] b) {
      if (b[0] != 0) {
        throw new IllegalArgumentException("not an arrival");
      }
      this.b = b;
    }

    long zigzag() {
      long z = 0;
      for (int shift = 0; ; shift += 7) {
        byte x = b[at++];
        z |= (long) (x & 0x7f) << shift;
        if (x >= 0) {
          return z >>> 1 ^ -(z & 1);
        }
      }
    }

    Arrival arrival() {
      int n = (int) zigzag();
      String entity = new String(b, at, n, StandardCharsets.UTF_8);
      at += n;
      long time = zigzag();
      double[] f = new double[8];
      for (int i = 0; i < 8; i++) {
        f[i] = (double) DOUBLE.get(b, at + 8 * i);
      }
      return new Arrival(entity, time, f);
    }
  }

  private static final class Out {
    final byte[] b = new byte[160];
    int at = 5;

    Out(int schema) {
      b[4] = (byte) schema;
    }

    Out zigzag(long v) {
      long z = v << 1 ^ v >> 63;
      for (; (z & ~0x7fL) != 0; z >>>= 7) {
        b[at++] = (byte) (z | 0x80);
      }
      b[at++] = (byte) z;
      return this;
    }

    Out string(String s) {
      byte[] u = s.getBytes(StandardCharsets.UTF_8);
      zigzag(u.length);
      System.arraycopy(u, 0, b, at, u.length);
      at += u.length;
      return this;
    }

    Out doubles(double[] v) {
      for (double x : v) {
        DOUBLE.set(b, at, x);
        at += 8;
      }
      return this;
    }

    byte[] done() {
      return Arrays.copyOf(b, at);
    }
  }

  private Records() {}
}
