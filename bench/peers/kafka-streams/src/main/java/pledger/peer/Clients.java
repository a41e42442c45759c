package pledger.peer;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The clients beside Kafka Streams. */
final class Clients {
    /** Of a writer that fills a topic. */
    static final Map<String, Object> BULK = Map.of("batch.size", 128 << 10, "linger.ms", 20, "buffer.memory", 64L << 20);

    private Clients() {}

    /** Reads the ledger from its beginning, and only what is committed. */
    static Consumer<String, byte[]> reader(Options options, Topics topics) {
        var config = new HashMap<String, Object>();
        config.put("bootstrap.servers", options.kafka);
        config.put("isolation.level", "read_committed");
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", false);
        config.put("max.poll.records", 5_000);
        var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer());
        consumer.assign(topics.ledgerPartitions());
        return consumer;
    }

    /** Writes to a topic, and fails once anything was not written. */
    static final class Writer<T> implements AutoCloseable {
        private final String topic;
        private final Producer<String, T> producer;
        private final AtomicReference<Exception> failed = new AtomicReference<>();
        private final Callback written =
                (metadata, failure) -> {
                    if (failure != null) {
                        failed.compareAndSet(null, failure);
                    }
                };

        Writer(Options options, String topic, Serde<T> serde, Map<String, Object> more) {
            this.topic = topic;
            var config = new HashMap<String, Object>(more);
            config.put("bootstrap.servers", options.kafka);
            config.put("acks", "all");
            config.put("compression.type", "lz4");
            producer = new KafkaProducer<>(config, new StringSerializer(), serde.serializer());
        }

        void write(String key, T value) {
            write(new ProducerRecord<>(topic, key, value));
        }

        void write(ProducerRecord<String, T> one) {
            check();
            producer.send(one, written);
        }

        void flush() {
            producer.flush();
            check();
        }

        private void check() {
            if (failed.get() != null) {
                throw new Failure("a record was not written to " + topic, failed.get());
            }
        }

        @Override
        public void close() {
            producer.close();
        }
    }
}
