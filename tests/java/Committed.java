import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A plain consumer, with nothing but Kafka's own client: BROKERS REGISTRY ISOLATION TOPIC...
 *
 * <p>Prints a line for each topic and type of record: topic, name of the record by the registry, and how many there are from
 * the beginning to the end.
 */
public final class Committed {
    private static final Pattern NAME = Pattern.compile("\\\\\"name\\\\\":\\\\\"(\\w+)\\\\\"");
    private final HttpClient http = HttpClient.newHttpClient();
    private final Map<Integer, String> names = new HashMap<>();
    private final String registry;

    private Committed(String registry) {
        this.registry = registry;
    }

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("isolation.level", arguments[2]);
        settings.put("enable.auto.commit", "false");
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        Committed reader = new Committed(arguments[1]);
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
            for (String topic : List.of(arguments).subList(3, arguments.length)) {
                reader.read(consumer, topic);
            }
        }
    }

    private void read(KafkaConsumer<byte[], byte[]> consumer, String topic) throws Exception {
        List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
            .map(one -> new TopicPartition(topic, one.partition())).collect(Collectors.toList());
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        Map<String, Integer> counts = new TreeMap<>();
        while (partitions.stream().anyMatch(one -> consumer.position(one) < ends.get(one))) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                ByteBuffer value = ByteBuffer.wrap(record.value());
                if (value.get() != 0) {
                    throw new IllegalStateException(topic + " at " + record.offset() + " is not in the wire format");
                }
                counts.merge(name(value.getInt()), 1, Integer::sum);
            }
        }
        counts.forEach((name, count) -> System.out.println(topic + " " + name + " " + count));
    }

    private String name(int id) throws Exception {
        String known = names.get(id);
        if (known != null) {
            return known;
        }
        URI uri = URI.create(registry + "/schemas/ids/" + id);
        HttpResponse<String> answer =
            http.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
        Matcher found = NAME.matcher(answer.body());
        if (answer.statusCode() != 200 || !found.find()) {
            throw new IllegalStateException("schema " + id + ": " + answer.statusCode() + " " + answer.body());
        }
        names.put(id, found.group(1));
        return found.group(1);
    }
}
