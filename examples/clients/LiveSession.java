// Follows a live session from Java, over plain gRPC: no TensorFlow, no Python.
//
//     printf 'sku-575\nsku-228\n' | java LiveSession localhost:8500
//     printf '214\n9\n' | java LiveSession localhost:8500 integer
//
// Each line is a click; "integer" if the model's item ids are integers. How to build it: docs/tasks/clients.md.

import com.google.protobuf.ByteString;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.example.gru4rec.ModelSpec;
import org.example.gru4rec.PredictRequest;
import org.example.gru4rec.PredictResponse;
import org.example.gru4rec.PredictionServiceGrpc;
import org.example.gru4rec.TensorProto;
import org.example.gru4rec.TensorShapeProto;

public final class LiveSession {
  private static final int STRING = 7;
  private static final int INT64 = 9;
  private static final int GAP = 3; // the server lacks events: it was restarted, or serves a new version

  private final PredictionServiceGrpc.PredictionServiceBlockingStub server;
  private final String sessionId = UUID.randomUUID().toString();
  private final boolean hasIntegerIds;
  private final List<String> clicks = new ArrayList<>();

  LiveSession(ManagedChannel channel, boolean hasIntegerIds) {
    server = PredictionServiceGrpc.newBlockingStub(channel);
    this.hasIntegerIds = hasIntegerIds;
  }

  /** Tells the server of a click; returns the next items, best first. */
  List<String> click(String itemId) {
    clicks.add(itemId);
    // Events are numbered from 1, so that one sent twice counts once: send it again after a time-out.
    Map<String, TensorProto> step =
        Map.of(
            "session_id", strings(List.of(sessionId), 1),
            "item_id", items(List.of(itemId), 1),
            "position", integers(List.of((long) clicks.size()), 1));
    PredictResponse answer = predict("step", step);
    if (status(answer) == GAP) {
      Map<String, TensorProto> whole =
          Map.of(
              "session_id", strings(List.of(sessionId), 1),
              "item_ids", items(clicks, 1, clicks.size()));
      answer = predict("replay", whole);
    }
    TensorProto found = answer.getOutputsOrThrow("item_ids");
    if (hasIntegerIds) {
      return found.getInt64ValList().stream().map(String::valueOf).toList();
    }
    return found.getStringValList().stream().map(ByteString::toStringUtf8).toList();
  }

  /** Has the server forget the session. */
  void end() {
    predict("end_session", Map.of("session_id", strings(List.of(sessionId), 1)));
  }

  private PredictResponse predict(String signature, Map<String, TensorProto> inputs) {
    ModelSpec model = ModelSpec.newBuilder().setName("gru4rec").setSignatureName(signature).build();
    PredictRequest request =
        PredictRequest.newBuilder().setModelSpec(model).putAllInputs(inputs).build();
    return server.withWaitForReady().withDeadlineAfter(5, TimeUnit.SECONDS).predict(request);
  }

  private static int status(PredictResponse answer) {
    TensorProto status = answer.getOutputsOrThrow("status");
    if (!status.getTensorContent().isEmpty()) {
      ByteBuffer bytes = status.getTensorContent().asReadOnlyByteBuffer();
      return bytes.order(ByteOrder.LITTLE_ENDIAN).getInt();
    }
    return status.getIntVal(0);
  }

  private static TensorProto strings(List<String> values, long... shape) {
    TensorProto.Builder tensor = TensorProto.newBuilder().setDtype(STRING);
    values.forEach(value -> tensor.addStringVal(ByteString.copyFromUtf8(value)));
    return tensor.setTensorShape(shape(shape)).build();
  }

  private static TensorProto integers(List<Long> values, long... shape) {
    TensorProto.Builder tensor = TensorProto.newBuilder().setDtype(INT64).addAllInt64Val(values);
    return tensor.setTensorShape(shape(shape)).build();
  }

  private TensorProto items(List<String> ids, long... shape) {
    return hasIntegerIds
        ? integers(ids.stream().map(Long::valueOf).toList(), shape)
        : strings(ids, shape);
  }

  private static TensorShapeProto shape(long... sizes) {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    for (long size : sizes) {
      shape.addDim(TensorShapeProto.Dim.newBuilder().setSize(size));
    }
    return shape.build();
  }

  public static void main(String[] arguments) throws InterruptedException {
    ManagedChannel channel =
        ManagedChannelBuilder.forTarget(arguments[0]).usePlaintext().build();
    LiveSession session = new LiveSession(channel, List.of(arguments).contains("integer"));
    Scanner lines = new Scanner(System.in);
    while (lines.hasNextLine()) {
      String item = lines.nextLine().strip();
      System.out.println(item + " -> " + session.click(item));
    }
    session.end();
    channel.shutdown().awaitTermination(1, TimeUnit.SECONDS);
  }
}
