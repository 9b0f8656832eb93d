import CDSAOracle
import Foundation
import XCTest

final class VersionCallTests: XCTestCase {
    func testVersionAndDescription() {
        XCTAssertEqual(dsa_abi_version(), DSA_ABI_VERSION)
        let description = String(cString: dsa_description())
        XCTAssertTrue(description.hasPrefix("kernels ") && description.contains("OpenBLAS"), description)
        XCTAssertEqual(dsa_description(), dsa_description(), "the text lives as long as the process")
    }

    func testEachThreadHasItsOwnMessage() {
        assertRefused(dsa_e4m3_decode(nil, 1, nil), DSA_ERROR_ARGUMENT, "dsa_e4m3_decode: codes is NULL")
        let done = expectation(description: "the other thread")
        Thread.detachNewThread {
            XCTAssertEqual(String(cString: dsa_last_error_message()), "", "nothing has failed here yet")
            assertRefused(dsa_bf16_decode(nil, 2, nil), DSA_ERROR_ARGUMENT, "dsa_bf16_decode: bits is NULL")
            done.fulfill()
        }
        wait(for: [done], timeout: 60)
        assertAccepted(dsa_e4m3_decode(nil, 0, nil))
        XCTAssertEqual(
            String(cString: dsa_last_error_message()),
            "dsa_e4m3_decode: codes is NULL, expected 1 bytes",
            "neither another thread nor a call that succeeds changes the message"
        )
    }

    func testALongMessageIsCutBetweenCharacters() {
        dsa_oracle_set_error_message(String(repeating: "·", count: 400))
        XCTAssertEqual(String(cString: dsa_last_error_message()), String(repeating: "·", count: 255))
    }
}
