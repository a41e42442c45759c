package pledger.peer;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import pledger.peer.Account.Deal;
import pledger.peer.Deals.Stage;

/** An account as the store has it. It is read for every command, which as JSON would cost as much as the command itself. */
final class StoredAccount {
    private static final Stage[] STAGES = Stage.values();

    private StoredAccount() {}

    static Serde<Account> serde() {
        return Serdes.serdeFrom(
                (topic, account) -> account == null ? null : write(account), (topic, bytes) -> bytes == null ? null : read(bytes));
    }

    private static byte[] write(Account account) {
        var bytes = new ByteArrayOutputStream(256);
        try (var out = new DataOutputStream(bytes)) {
            out.writeInt(account.deals().size());
            for (var entry : account.deals().entrySet()) {
                var deal = entry.getValue();
                out.writeUTF(entry.getKey());
                out.writeUTF(deal.partnerId());
                out.writeUTF(deal.product());
                out.writeByte(deal.stage().ordinal());
            }
        } catch (IOException e) {
            throw new SerializationException(e);
        }
        return bytes.toByteArray();
    }

    private static Account read(byte[] bytes) {
        var account = Account.empty();
        try (var in = new DataInputStream(new ByteArrayInputStream(bytes))) {
            for (var left = in.readInt(); left > 0; left--) {
                account.deals().put(in.readUTF(), new Deal(in.readUTF(), in.readUTF(), STAGES[in.readByte()]));
            }
        } catch (IOException e) {
            throw new SerializationException(e);
        }
        return account;
    }
}
